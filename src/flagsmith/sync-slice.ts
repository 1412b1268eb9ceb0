import type { Log } from "../log.ts";
import { ok, type Result } from "../result.ts";
import type { Database } from "../store/database.ts";
import { type ExperimentInput, type PutFailure, putExperiment } from "../store/experiments.ts";
import {
  countWebhooks,
  type FlagsmithNote,
  findConflict,
  type ReadExperiment,
  saveReadExperiments,
  saveUnreadExperiments,
} from "../store/flagsmith.ts";
import type { FlagsmithClient } from "./flagsmith-client.ts";
import { adviceForFlagsmith, type FlagsmithFailure, isOutage } from "./flagsmith-failure.ts";
import { idOf } from "./mapping.ts";
import { FINAL_NUMBERS_NOTE, isSame, mapChange, type SyncChange } from "./plan.ts";
import type { Allocation } from "./shapes.ts";

export type SyncSlice = { environmentKey: string; changes: SyncChange[]; until: number };

export type SyncOutcome = {
  notes: FlagsmithNote[];
  changed: number;
  /** A failure leaves the rest of the sync to the next one. */
  failure: FlagsmithFailure | null;
};

export type SliceDeps = { database: Database; client: FlagsmithClient; clock: () => number; log: Log };

/** Makes some changes of a sync. An experiment whose rollout can't be read stays as it is. */
export async function syncSlice(
  { database, client, clock, log }: SliceDeps,
  { environmentKey, changes, until }: SyncSlice,
): Promise<SyncOutcome> {
  const outcome: SyncOutcome = { notes: [], changed: 0, failure: null };
  const read: ReadExperiment[] = [];
  const unread: string[] = [];
  const webhooks = await countWebhooks(database, environmentKey);
  const rollouts = await Promise.all(changes.map((change) => rolloutOf(change)));

  async function rolloutOf(change: SyncChange): Promise<Result<Allocation[] | null, FlagsmithFailure> | null> {
    if (change.kind === "left") return null;
    if (change.rollout !== undefined) return ok(change.rollout);
    return client.readRollout(environmentKey, change.listed.id, until);
  }

  async function save(input: ExperimentInput, notes: readonly string[], now = clock()): Promise<void> {
    const saved = await putExperiment(database, input, null, now, { source: "flagsmith" });
    if (saved.ok) {
      outcome.changed += 1;
      log("info", "experiment.saved", { experiment_id: input.id, created: saved.value.created, by: "flagsmith" });
    }
    const texts = saved.ok ? notes : [await reasonOf(saved.failure, input), ...notes];
    outcome.notes.push(...texts.map((text) => ({ experimentId: input.id, text })));
  }

  /** A detail that Flagsmith alone can't answer must not hold up the other experiments. */
  function reportUnread(
    { listed: { id }, lastRollout }: SyncChange & { kind: "listed" },
    failure: FlagsmithFailure,
  ): void {
    if (isOutage(failure) && failure.kind !== "unavailable" && failure.kind !== "timeout") {
      outcome.failure ??= failure;
      return;
    }
    unread.push(idOf(id));
    // Deleted since it was listed: the next listing lacks it.
    if (failure.kind === "not_found") return;
    const text = `${lastRollout === undefined ? "It" : "Its split"} stays as it is here, because its rollout can't be read. ${adviceForFlagsmith(failure, environmentKey)}`;
    outcome.notes.push({ experimentId: idOf(id), text });
  }

  async function reasonOf({ kind }: PutFailure, input: ExperimentInput): Promise<string> {
    if (kind === "final_numbers") return FINAL_NUMBERS_NOTE;
    if (kind === "other_source")
      return "It is not synced, because an experiment that was created here has its id. Delete that experiment to sync this one.";
    const conflict = await findConflict(database, input);
    return `It is not synced, because the experiment ${conflict ?? "of another source"} counts the same feature at the same time. End or delete that experiment to sync this one.`;
  }

  for (const [index, change] of changes.entries()) {
    if (change.kind === "left") {
      await save({ ...change.stored, endedAt: change.endedAt }, []);
      log("info", "flagsmith.left", {
        experiment_id: change.stored.id,
        ended_at: new Date(change.endedAt).toISOString(),
      });
      continue;
    }
    const found = rollouts[index];
    if (found?.ok === false) reportUnread(change, found.failure);
    const fallback = outcome.failure === null ? change.lastRollout : undefined;
    const rollout = found?.ok ? found.value : fallback;
    if (rollout === undefined) continue;
    const { listed, stored } = change;
    const { input, notes } = mapChange(environmentKey, change, rollout, clock());
    // A split that is first read after the end has changed before it.
    const isNew = change.rollout === undefined && stored !== null;
    const now = isNew && input.endedAt !== null ? Math.min(clock(), input.endedAt - 1) : clock();
    if (stored === null || !isSame(input, stored)) await save(input, notes, now);
    else outcome.notes.push(...notes.map((text) => ({ experimentId: input.id, text })));
    if (found?.ok && change.rollout === undefined)
      read.push({
        experimentId: idOf(listed.id),
        changedAt: listed.updatedAt,
        rollout: JSON.stringify(rollout),
        readAt: clock(),
      });
  }
  await saveReadExperiments(database, environmentKey, read, webhooks);
  await saveUnreadExperiments(database, environmentKey, unread, clock());
  return outcome;
}
