import ipaddr from "ipaddr.js";

/** A port after an IPv4 address, or after an IPv6 address in brackets, as some proxies add it. */
const WITH_PORT = /^(\d+\.[\d.]+|\[.+\]):\d+$/;

/**
 * The network that one client controls: its IPv4 address, or the /64 prefix of its IPv6 address. Text that is not an
 * address is returned as it is.
 */
export function clientNetwork(text: string): string {
  const bare = text.replace(WITH_PORT, "$1").replaceAll(/[[\]]/g, "");
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return bare;
  const address = ipaddr.process(bare);
  if (address instanceof ipaddr.IPv4) return address.toString();
  const prefix = address.parts.slice(0, 4).map((part) => part.toString(16));
  return `${prefix.join(":")}::/64`;
}
