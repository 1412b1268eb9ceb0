import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { forgetDeliveries } from "../store/requests.ts";
import { listToSweep } from "../store/summaries.ts";
import type { RefreshOutcome } from "./outcome.ts";

export type SweepDeps = {
  database: Database;
  refresh: (experimentId: string, now: number) => Promise<RefreshOutcome>;
  log: Log;
};

/** When a sweep is due, as in wrangler.toml. */
export const SWEEP_SCHEDULE = "*/15 * * * *";

/** So many experiments are refreshed side by side: a Worker has six connections, and the warehouse other work. */
export const SIDE_BY_SIDE = 6;
const PAGE = 500;
/** Senders of webhooks stop trying a delivery after a day or so. */
const DELIVERIES_KEPT_MS = 3 * 86_400_000;

/**
 * Refreshes every started experiment that is not final, through its coordinator. One that fails stops no other. True if
 * none did; what failed is in the log by then, so that an entry need only tell its platform.
 * @param now the time the sweep was scheduled for; all its numbers are as of then
 */
export async function sweep(deps: SweepDeps, now: number): Promise<boolean> {
  const count = { refreshed: 0, skipped: 0, failed: 0 };
  const limit = pLimit(SIDE_BY_SIDE);

  async function refresh(experimentId: string): Promise<void> {
    try {
      const { status } = await deps.refresh(experimentId, now);
      count[status] += 1;
    } catch (error) {
      // The coordinator itself could not be reached; what a refresh meets, it returns.
      count.failed += 1;
      deps.log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
    }
  }

  try {
    for (let after = ""; ; ) {
      const ids = await listToSweep(deps.database, now, after, PAGE);
      await limit.map(ids, refresh);
      const last = ids.at(-1);
      if (last === undefined || ids.length < PAGE) break;
      after = last;
    }
    await forgetDeliveries(deps.database, now - DELIVERIES_KEPT_MS);
  } catch (error) {
    deps.log("error", "sweep.failed", { ...count, error: describeBug(error) });
    return false;
  }
  deps.log(count.failed === 0 ? "info" : "error", "sweep.finished", count);
  return count.failed === 0;
}
