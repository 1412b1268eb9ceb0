import type { Log } from "../log.ts";
import { createTtlCache } from "../ttl-cache.ts";
import { clientNetwork } from "./client-network.ts";

/** Counts an event under a key. Returns false if there were too many recently. The platform provides it. */
export type Limiter = (key: string) => Promise<boolean>;

/** The duration of a block after too many failed attempts. */
export const BLOCK_SECONDS = 60;
/** Bounds the statements that a blocked address can cause with keys that are well-formed but unknown. */
const LOOK_UPS_PER_BLOCK = 1_000;
/** Bounds the memory. For addresses beyond it, only the limiter applies. */
const MAX_ADDRESSES = 10_000;

export type FailedAttempts = {
  /** Returns whether an attempt from this address may be looked up. A blocked address has a limited number of look-ups. */
  mayLookUp(address: string): boolean;
  /** Counts a failed attempt. Returns false if the address is blocked. A block is logged once. */
  record(address: string, log: Log): Promise<boolean>;
};

/**
 * Blocks addresses with too many failed attempts.
 * @param kind the kind of attempt, for the log; each kind is counted separately
 */
export function createFailedAttempts(kind: string, limiter: Limiter, clock: () => number): FailedAttempts {
  const blocked = createTtlCache<{ lookUps: number }>(BLOCK_SECONDS * 1000, MAX_ADDRESSES, clock);

  function mayLookUp(address: string): boolean {
    const block = blocked.get(clientNetwork(address));
    if (block === undefined) return true;
    block.lookUps += 1;
    return block.lookUps <= LOOK_UPS_PER_BLOCK;
  }

  async function record(address: string, log: Log): Promise<boolean> {
    const network = clientNetwork(address);
    if (blocked.get(network) !== undefined) return false;
    if (await limiter(`${kind}:${network}`)) return true;
    blocked.set(network, { lookUps: 0 });
    log("warn", "address.blocked", { what: kind, address: network, seconds: BLOCK_SECONDS });
    return false;
  }

  return { mayLookUp, record };
}
