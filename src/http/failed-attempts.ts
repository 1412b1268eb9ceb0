import type { Log } from "../log.ts";
import { createShortMemory } from "../ttl-cache.ts";

/** Counts one more event under a key; false: too many of late. Provided by the platform. */
export type Limiter = (key: string) => Promise<boolean>;

/** How long an address stays shut out once too many of its attempts have failed. */
export const SHUT_OUT_SECONDS = 60;
/** So many addresses are remembered at most; the rest is up to the limiter. */
const MOST_ADDRESSES = 10_000;

/** Watches the failed attempts of each address. */
export type Guard = {
  /** True while nothing from there should even be looked at. */
  isShutOut(address: string): boolean;
  /** Counts a failed attempt. False: that was one too many, which `log` hears of once. */
  fail(address: string, log: Log): Promise<boolean>;
};

/** @param what failed, for the log and to keep one kind of failure from counting as another */
export function createGuard(what: string, limiter: Limiter, clock: () => number): Guard {
  const shutOut = createShortMemory<true>(SHUT_OUT_SECONDS * 1000, MOST_ADDRESSES, clock);

  function isShutOut(address: string): boolean {
    return shutOut.get(networkOf(address)) !== undefined;
  }

  async function fail(address: string, log: Log): Promise<boolean> {
    if (isShutOut(address)) return false;
    const network = networkOf(address);
    if (await limiter(`${what}:${network}`)) return true;
    shutOut.set(network, true);
    log("warn", "address.shut_out", { what, address: network, seconds: SHUT_OUT_SECONDS });
    return false;
  }

  return { isShutOut, fail };
}

/** What one party commands: an IPv4 address, or the first half of an IPv6 address. Some proxies add a port. */
export function networkOf(written: string): string {
  const address = written.replace(/^(\d+\.[\d.]+|\[.+\]):\d+$/, "$1").replaceAll(/[[\]]/g, "");
  if (!address.includes(":")) return address;
  // IPv4 inside IPv6, as servers that listen to both see it.
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  const [head = [], tail = []] = address.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0");
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(":").toLowerCase()}::/64`;
}
