import type { Log } from "../log.ts";
import { createTtlCache } from "../ttl-cache.ts";
import { clientNetwork } from "./client-network.ts";

/** Counts an event under a key. Returns false if there were too many recently. The platform provides it. */
export type Limiter = (key: string) => Promise<boolean>;

/** The duration of a block after too many failed attempts. */
export const BLOCK_SECONDS = 60;
/** Bounds the memory. For addresses beyond it, only the limiter applies. */
const MAX_ADDRESSES = 10_000;

export type FailedAttempts = {
  /** Returns true while attempts from this address are refused unchecked. */
  isBlocked(address: string): boolean;
  /** Counts a failed attempt. Returns false if the address is blocked. A block is logged once. */
  record(address: string, log: Log): Promise<boolean>;
};

/**
 * Blocks addresses with too many failed attempts.
 * @param kind the kind of attempt, for the log; each kind is counted separately
 */
export function createFailedAttempts(kind: string, limiter: Limiter, clock: () => number): FailedAttempts {
  const blocked = createTtlCache<true>(BLOCK_SECONDS * 1000, MAX_ADDRESSES, clock);

  function isBlocked(address: string): boolean {
    return blocked.get(clientNetwork(address)) !== undefined;
  }

  async function record(address: string, log: Log): Promise<boolean> {
    if (isBlocked(address)) return false;
    const network = clientNetwork(address);
    if (await limiter(`${kind}:${network}`)) return true;
    blocked.set(network, true);
    log("warn", "address.blocked", { what: kind, address: network, seconds: BLOCK_SECONDS });
    return false;
  }

  return { isBlocked, record };
}
