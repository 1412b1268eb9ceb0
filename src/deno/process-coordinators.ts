import pLimit from "p-limit";
import { type Alarm, type Coordinator, createCoordinator, type Memory } from "../refresh/coordinator.ts";
import type { Coordinators } from "../refresh/coordinator-types.ts";
import { type RefreshDeps, refreshExperiment } from "../refresh/refresh-experiment.ts";
import { createTimerAlarm } from "./timer-alarm.ts";

export type ProcessCoordinators = Coordinators & {
  /** Begins no more refreshes, and resolves when those under way have ended. */
  stop(): Promise<void>;
};

type Lane = {
  coordinator: Coordinator;
  alarm: Alarm;
  /** How many are at it: while there is one, the lane must not be forgotten. */
  working: number;
  /** True once its experiment is gone or final. */
  isOver: () => boolean;
};

/**
 * The coordinators of a single process, one for each experiment that something happens to. Their alarms and memories
 * end with the process; what it had accepted stands in the database, and the next start takes it up.
 */
export function createCoordinators(
  deps: RefreshDeps & { minIntervalMs: number; concurrency: number; random: () => number },
): ProcessCoordinators {
  const lanes = new Map<string, Lane>();
  const underWay = new Set<Promise<unknown>>();
  // Alarms may go off all at once; the warehouse has other work too.
  const limit = pLimit(deps.concurrency);
  let stopped = false;

  function laneOf(experimentId: string): Lane {
    const known = lanes.get(experimentId);
    if (known !== undefined) return known;
    let memory: Memory | null = null;
    let isKept = true;
    const timer = createTimerAlarm(deps.clock, () => void track(experimentId, (lane) => lane.coordinator.wake()));
    const alarm = { ...timer, set: async (at: number) => (stopped ? undefined : timer.set(at)) };
    const coordinator = createCoordinator({
      experimentId,
      refresh: (now) =>
        limit(() =>
          stopped ? { status: "skipped", reason: "superseded" } : refreshExperiment(deps, experimentId, now),
        ),
      alarm,
      memory: {
        load: async () => memory,
        save: async (changed) => {
          memory = changed;
          isKept = true;
        },
        clear: async () => {
          memory = null;
          isKept = false;
        },
      },
      minIntervalMs: deps.minIntervalMs,
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
    });
    const lane: Lane = { coordinator, alarm, working: 0, isOver: () => !isKept };
    lanes.set(experimentId, lane);
    return lane;
  }

  /** Lets a lane work, and forgets it if that was its last work. */
  async function track<Value>(experimentId: string, work: (lane: Lane) => Promise<Value>): Promise<Value> {
    const lane = laneOf(experimentId);
    lane.working += 1;
    const working = work(lane);
    underWay.add(working);
    try {
      return await working;
    } finally {
      underWay.delete(working);
      lane.working -= 1;
      if (lane.working === 0 && lane.isOver()) lanes.delete(experimentId);
    }
  }

  return {
    refresh: (experimentId, now) => track(experimentId, (lane) => lane.coordinator.refresh(now)),
    ask: (experimentId, ask) => track(experimentId, (lane) => lane.coordinator.ask(ask)),
    async stop() {
      stopped = true;
      for (const { alarm } of lanes.values()) await alarm.clear();
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}
