import pLimit from "p-limit";
import type { Alarm } from "../alarm.ts";
import { type Coordinator, type CoordinatorState, createCoordinator } from "../refresh/coordinator.ts";
import type { Coordinators } from "../refresh/coordinator-types.ts";
import { type RefreshDeps, refreshExperiment } from "../refresh/refresh-experiment.ts";
import { createTimerAlarm } from "./timer-alarm.ts";

export type ProcessCoordinators = Coordinators & {
  /** Starts no more refreshes, and resolves when those in flight have ended. */
  stop(): Promise<void>;
};

type Entry = {
  coordinator: Coordinator;
  alarm: Alarm;
  /** The entry must not be removed while a call is active. */
  activeCalls: number;
  /** True once the experiment is deleted or final. */
  isOver: () => boolean;
};

/**
 * Creates the coordinators of a single process, on demand for each experiment. Their alarms and states end with the process.
 * Accepted requests stay in the database, and the next start resumes them.
 */
export function createProcessCoordinators(
  deps: RefreshDeps & { minIntervalMs: number; concurrency: number; random: () => number },
): ProcessCoordinators {
  const entries = new Map<string, Entry>();
  const inFlight = new Set<Promise<unknown>>();
  // Many alarms may go off at the same time, so this bounds the load on the warehouse.
  const limit = pLimit(deps.concurrency);
  let stopped = false;

  function entryFor(experimentId: string): Entry {
    const existing = entries.get(experimentId);
    if (existing !== undefined) return existing;
    let state: CoordinatorState | null = null;
    let isOver = false;
    const timer = createTimerAlarm(
      deps.clock,
      () => void track(experimentId, ({ coordinator }) => coordinator.onAlarm()),
    );
    const alarm = { ...timer, set: async (at: number) => (stopped ? undefined : timer.set(at)) };
    const coordinator = createCoordinator({
      experimentId,
      refresh: (now) =>
        limit(() =>
          stopped ? { status: "skipped", reason: "superseded" } : refreshExperiment(deps, experimentId, now),
        ),
      alarm,
      storage: {
        load: async () => state,
        save: async (changed) => {
          state = changed;
          isOver = false;
        },
        clear: async () => {
          state = null;
          isOver = true;
        },
      },
      minIntervalMs: deps.minIntervalMs,
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
    });
    const entry: Entry = { coordinator, alarm, activeCalls: 0, isOver: () => isOver };
    entries.set(experimentId, entry);
    return entry;
  }

  /** Runs a call, and removes the entry after the last one if its experiment is over. */
  async function track<Value>(experimentId: string, call: (entry: Entry) => Promise<Value>): Promise<Value> {
    const entry = entryFor(experimentId);
    entry.activeCalls += 1;
    const running = call(entry);
    inFlight.add(running);
    try {
      return await running;
    } finally {
      inFlight.delete(running);
      entry.activeCalls -= 1;
      if (entry.activeCalls === 0 && entry.isOver()) entries.delete(experimentId);
    }
  }

  return {
    refresh: (experimentId, now) => track(experimentId, ({ coordinator }) => coordinator.refresh(now)),
    request: (experimentId, trigger) => track(experimentId, ({ coordinator }) => coordinator.request(trigger)),
    async stop() {
      stopped = true;
      for (const { alarm } of entries.values()) await alarm.clear();
      while (inFlight.size > 0) await Promise.allSettled(inFlight);
    },
  };
}
