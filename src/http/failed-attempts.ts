import type { Log } from "../log.ts";
import { createTtlCache } from "../ttl-cache.ts";
import { clientNetwork } from "./client-network.ts";

/** Counts one more event under a key. Returns false if there were too many of late. Provided by the platform. */
export type Limiter = (key: string) => Promise<boolean>;

/** The time for which an address is blocked once too many of its attempts have failed. */
export const BLOCK_SECONDS = 60;
/** A bound on memory. Addresses beyond it are up to the limiter. */
const MAX_ADDRESSES = 10_000;

export type FailedAttempts = {
  /** True while attempts from this address are refused unseen. */
  isBlocked(address: string): boolean;
  /** Counts a failed attempt. Returns false if it was one too many; the block is logged once. */
  record(address: string, log: Log): Promise<boolean>;
};

/** @param what the kind of attempt, for the log and to count each kind on its own */
export function createFailedAttempts(what: string, limiter: Limiter, clock: () => number): FailedAttempts {
  const blocked = createTtlCache<true>(BLOCK_SECONDS * 1000, MAX_ADDRESSES, clock);

  function isBlocked(address: string): boolean {
    return blocked.get(clientNetwork(address)) !== undefined;
  }

  async function record(address: string, log: Log): Promise<boolean> {
    if (isBlocked(address)) return false;
    const network = clientNetwork(address);
    if (await limiter(`${what}:${network}`)) return true;
    blocked.set(network, true);
    log("warn", "address.blocked", { what, address: network, seconds: BLOCK_SECONDS });
    return false;
  }

  return { isBlocked, record };
}
