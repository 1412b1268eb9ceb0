import { definitionValues, metricsText } from "../store/experiment-row.ts";
import type { ExperimentInput } from "../store/experiments.ts";
import type { FlagsmithNote, ReadExperiment, StoredExperiment } from "../store/flagsmith.ts";
import { idOf, type Mapped, mapExperiment } from "./mapping.ts";
import type { Allocation, ListedExperiment, UnreadableExperiment } from "./shapes.ts";

// Pure: what a sync changes in an environment.

/** A change that one slice of a sync makes. It is plain data, because a slice may run in another invocation. */
export type SyncChange =
  | {
      kind: "listed";
      listed: ListedExperiment;
      /** The events of its metrics by id. */
      events: Record<number, string | null>;
      /** Undefined: it must be read. */
      rollout: Allocation[] | null | undefined;
      /** The rollout of a completed experiment as it was read while it ran. Used if the rollout must be read but can't be. */
      lastRollout: Allocation[] | null | undefined;
      stored: StoredExperiment | null;
    }
  /** Flagsmith no longer lists it. */
  | { kind: "left"; stored: StoredExperiment; endedAt: number };

export type PlanInput = {
  environmentKey: string;
  listed: readonly (ListedExperiment | UnreadableExperiment)[];
  events: ReadonlyMap<number, string | null>;
  stored: readonly StoredExperiment[];
  read: readonly ReadExperiment[];
  /** The last time at which Flagsmith listed every stored experiment that has no end; null: unknown. */
  listedAt: number | null;
  now: number;
};

/** A change of the rollout leaves `updated_at` as it is. So rollouts are read again after this time, a few each sync. */
const ROLLOUT_TTL_MS = 3_600_000;
const MAX_REREAD = 10;

/** Plans the changes of a sync, those that end an experiment first, and lists the notes on all others. */
export function planSync(input: PlanInput): { changes: SyncChange[]; notes: FlagsmithNote[] } {
  const { environmentKey, events, now } = input;
  const notes: FlagsmithNote[] = [];
  const stored = new Map(input.stored.map((experiment) => [experiment.id, experiment]));
  const read = new Map(input.read.map((each) => [each.experimentId, each]));
  const listed = input.listed.flatMap((each) => ("unreadable" in each ? [] : [each]));
  const changes: (SyncChange & { kind: "listed" })[] = [];
  const outdated = outdatedOf(
    listed.filter((each) => !needsRollout(each, read.get(idOf(each.id)), stored.get(idOf(each.id)))),
    read,
    now,
  );

  for (const each of listed) {
    const id = idOf(each.id);
    const known = read.get(id);
    const current = stored.get(id) ?? null;
    const rollout = known === undefined ? null : parseRollout(known.rollout);
    const change = {
      kind: "listed" as const,
      listed: each,
      events: Object.fromEntries(each.metrics.map(({ metricId }) => [metricId, events.get(metricId) ?? null])),
      lastRollout: known !== undefined && each.status === "completed" ? rollout : undefined,
      stored: current,
    };
    if (needsRollout(each, known, current) || outdated.has(id)) {
      changes.push({ ...change, rollout: undefined });
      continue;
    }
    const mapped = mapChange(environmentKey, { ...change, rollout }, rollout, now);
    if (current === null || !isSame(mapped.input, current)) changes.push({ ...change, rollout });
    else notes.push(...mapped.notes.map((text) => ({ experimentId: id, text })));
  }
  for (const each of input.listed)
    if ("unreadable" in each)
      notes.push({
        experimentId: idOf(each.id),
        text: "This version can't read it in Flagsmith's list, so it stays as it is here. Update edge-exposures.",
      });
  return { changes: [...departures(input, listed), ...changes.toSorted(byEnd)], notes };
}

/** Puts those that end first, so that the next experiment of the same feature does not overlap with them. */
const byEnd = (a: SyncChange & { kind: "listed" }, b: SyncChange & { kind: "listed" }) =>
  (a.listed.endedAt ?? MAX_TIME) - (b.listed.endedAt ?? MAX_TIME) || a.listed.id - b.listed.id;
const MAX_TIME = Number.MAX_SAFE_INTEGER;

/**
 * A draft has no split yet. A completed experiment that was read while it ran has the same split still, unless a webhook
 * came since.
 */
function needsRollout(
  { status, updatedAt }: ListedExperiment,
  known: ReadExperiment | undefined,
  stored: StoredExperiment | null | undefined,
): boolean {
  if (status === "created") return false;
  if (known === undefined) return true;
  if (status === "completed") return known.readAt === 0 && stored?.isFinal !== true;
  return known.changedAt !== updatedAt || known.readAt === 0;
}

/** The experiments whose rollouts were last tried the longest ago. */
function outdatedOf(
  listed: readonly ListedExperiment[],
  read: ReadonlyMap<string, ReadExperiment>,
  now: number,
): Set<string> {
  const running = listed.flatMap(({ id, status }) => {
    const known = status === "running" || status === "paused" ? read.get(idOf(id)) : undefined;
    return known === undefined || Math.abs(now - known.readAt) < ROLLOUT_TTL_MS ? [] : [known];
  });
  const oldest = running.toSorted((a, b) => a.readAt - b.readAt).slice(0, MAX_REREAD);
  return new Set(oldest.map(({ experimentId }) => experimentId));
}

function departures({ listed, stored, listedAt, now }: PlanInput, readable: readonly ListedExperiment[]): SyncChange[] {
  const ids = new Set(listed.map(({ id }) => idOf(id)));
  return stored.flatMap((experiment): SyncChange[] => {
    const { id, featureName, startedAt, endedAt } = experiment;
    if (ids.has(id) || startedAt === null || endedAt !== null) return [];
    // Flagsmith runs one experiment of a feature at a time. Its clock may be behind.
    const later = readable.flatMap((each) =>
      each.featureName === featureName && each.startedAt !== null && each.startedAt > startedAt ? [each.startedAt] : [],
    );
    return [
      { kind: "left", stored: experiment, endedAt: Math.max(startedAt + 1, Math.min(listedAt ?? now, ...later)) },
    ];
  });
}

export const FINAL_NUMBERS_NOTE =
  "Flagsmith has changed it, but its numbers here are final. They and its definition stay as they are.";

/** Maps a listed experiment. One whose numbers are final keeps its definition and takes over its name alone. */
export function mapChange(
  environmentKey: string,
  { listed, events, stored }: SyncChange & { kind: "listed" },
  rollout: Allocation[] | null,
  now: number,
): Mapped {
  const eventOf = (metricId: number) => events[metricId];
  const mapped = mapExperiment({ environmentKey, listed, eventOf, rollout, stored });
  // A row that is final before its end was computed while a clock was ahead.
  if (stored === null || !stored.isFinal || stored.endedAt === null || stored.endedAt > now) return mapped;
  // Options belong to the feature and events to the metric, so both may change long after the experiment.
  const kept = { ...stored, name: mapped.input.name };
  return isSame(mapped.input, kept) ? mapped : { input: kept, notes: [FINAL_NUMBERS_NOTE] };
}

/** True if the input would not change the stored experiment. */
export function isSame(input: ExperimentInput, stored: ExperimentInput): boolean {
  const textOf = (each: ExperimentInput) =>
    JSON.stringify([each.name, definitionValues(each), metricsText(each.metrics)]);
  return textOf(input) === textOf(stored);
}

function parseRollout(json: string): Allocation[] | null {
  const rollout: unknown = JSON.parse(json);
  if (!Array.isArray(rollout)) return null;
  return rollout.map(({ optionId, percentage }) => ({ optionId: Number(optionId), percentage: Number(percentage) }));
}
