/** A port after an IPv4 address, or after an IPv6 address in brackets, as some proxies add it. */
const WITH_PORT = /^(\d+\.[\d.]+|\[.+\]):\d+$/;

/**
 * The network that one client controls: its IPv4 address, or the /64 prefix of its IPv6 address. Text that is not an
 * address is returned as it is.
 */
export function clientNetwork(text: string): string {
  const bare = text.replace(WITH_PORT, "$1").replaceAll(/[[\]]/g, "");
  const groups = /^[\da-f.]*:[\da-f:.]*$/i.test(bare) ? groupsOf(bare) : null;
  if (groups === null) return bare;
  const isIPv4 = groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
  return isIPv4 ? groups.slice(6).flatMap(bytesOf).join(".") : `${groups.slice(0, 4).join(":")}::/64`;
}

/** The eight groups of an IPv6 address, in lower case and without leading zeros; null: it is not one. */
function groupsOf(address: string): string[] | null {
  // A URL's host is parsed by the platform, and written in its shortest form.
  const host = URL.parse(`http://[${address}]`)?.hostname;
  if (host === undefined) return null;
  const [left = [], right = []] = host
    .slice(1, -1)
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
}

function bytesOf(group: string): number[] {
  const number = Number.parseInt(group, 16);
  return [number >> 8, number & 255];
}
