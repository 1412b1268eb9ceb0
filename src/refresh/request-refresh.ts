import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import type { Ask } from "./coordinator.ts";
import type { Coordinators } from "./coordinator-types.ts";

/** A Worker has so many connections. */
const SIDE_BY_SIDE = 6;

/**
 * Passes requests that are noted in the database on to their coordinators. One that can't be reached is logged and no
 * more: the note stands, and the next sweep serves it.
 */
export async function askFor(
  coordinators: Coordinators,
  log: Log,
  experimentIds: readonly string[],
  ask: Ask,
): Promise<void> {
  await pLimit(SIDE_BY_SIDE).map(experimentIds, async (experimentId) => {
    try {
      await coordinators.ask(experimentId, ask);
    } catch (error) {
      log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
    }
  });
}
