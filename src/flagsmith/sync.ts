import { describeBug, type Log } from "../log.ts";
import type { RefreshDispatcher } from "../refresh/dispatcher.ts";
import { wakeDispatcher } from "../refresh/request-refresh.ts";
import type { Database } from "../store/database.ts";
import {
  claimSync,
  type FlagsmithEnvironment,
  type FlagsmithNote,
  listFlagsmithEnvironments,
  listFlagsmithExperiments,
  saveFlagsmithEnvironment,
} from "../store/flagsmith.ts";
import type { FlagsmithClient } from "./flagsmith-client.ts";
import { adviceForFlagsmith, type FlagsmithFailure, isOutage } from "./flagsmith-failure.ts";
import { idOf } from "./mapping.ts";
import { planSync, type SyncChange } from "./plan.ts";
import type { SyncOutcome, SyncSlice } from "./sync-slice.ts";

export type SyncDeps = {
  database: Database;
  client: FlagsmithClient;
  environments: readonly string[];
  /** Makes the changes of a slice, perhaps in an invocation of its own. */
  syncSlice: (slice: SyncSlice) => Promise<SyncOutcome>;
  dispatcher: RefreshDispatcher;
  clock: () => number;
  log: Log;
};

/** The shortest time between the starts of two syncs. */
export const SYNC_INTERVAL_MS = 60_000;
/** A sync starts nothing more after this time. So it has ended before the next one may start. */
const DEADLINE_MS = 40_000;
/** As many connections as an invocation may have at once, less one. Each change takes one request and one transaction. */
const SLICE_SIZE = 5;
const MAX_NOTES = 100;
const MAX_NOTE = 500;

/**
 * Syncs the experiments of all environments, unless another sync began less than a minute ago. Returns the time to wait
 * then, in milliseconds, else 0. Failures are logged and recorded. They change nothing else, and are never thrown.
 */
export async function syncFlagsmith(deps: SyncDeps): Promise<number> {
  const { database, environments, dispatcher, clock, log } = deps;
  try {
    const now = clock();
    const wait = await claimSync(database, now, SYNC_INTERVAL_MS);
    if (wait > 0) return wait;
    const current = await listFlagsmithEnvironments(database, environments);
    let changed = 0;
    let outage: FlagsmithFailure | null = null;
    const ordered = current.toSorted((a, b) => triedAt(a) - triedAt(b));
    for (const [index, each] of ordered.entries()) {
      if (outage !== null) {
        // Before the failure and in their order, so that the next sync starts with those that were not tried.
        await saveFailure(deps, each, outage, now - (ordered.length - index));
        continue;
      }
      const outcome = await syncEnvironment(deps, each, now + DEADLINE_MS);
      changed += outcome.changed;
      if (outcome.failure !== null && isOutage(outcome.failure)) outage = outcome.failure;
    }
    if (changed > 0) await wakeDispatcher(dispatcher, log, null);
  } catch (error) {
    log("error", "flagsmith.failed", { error: describeBug(error) });
  }
  return 0;
}

const triedAt = ({ syncedAt, failedAt }: FlagsmithEnvironment) => Math.max(syncedAt ?? 0, failedAt ?? 0);

type Outcome = Pick<SyncOutcome, "changed" | "failure">;

async function syncEnvironment(deps: SyncDeps, last: FlagsmithEnvironment, until: number): Promise<Outcome> {
  const { database, client, clock, log } = deps;
  const { environmentKey, listedAt } = last;
  const now = clock();
  const fail = async (
    failure: FlagsmithFailure,
    { changed = 0, ...found }: Partial<FlagsmithEnvironment & Outcome> = {},
  ) => {
    const detail = await saveFailure(deps, { ...last, ...found }, failure, clock());
    log("warn", "flagsmith.failed", { environment_key: environmentKey, kind: failure.kind, detail });
    return { changed, failure };
  };

  const listed = await client.listExperiments(environmentKey, until);
  if (!listed.ok) return fail(listed.failure);
  const events = await client.listMetricEvents(environmentKey, until);
  const known = await listFlagsmithExperiments(database, environmentKey);
  const eventsOrNone = events.ok ? events.value : new Map<number, never>();
  const plan = planSync({ environmentKey, listed: listed.value, events: eventsOrNone, ...known, listedAt, now });
  // Experiments that left this list may not be ended yet if this sync fails. They end at the time of the last
  // list that contained them.
  const listedUntil = plan.changes.some(({ kind }) => kind === "left") ? listedAt : now;
  if (!events.ok) return fail(events.failure, { listedAt: listedUntil });

  const made = await makeChanges(deps, environmentKey, plan.changes, until);
  const { changed, failure } = made;
  if (changed > 0) log("info", "flagsmith.synced", { environment_key: environmentKey, changed });
  const notes = reportNotes([...plan.notes, ...made.notes], last.notes, log);
  if (failure !== null) return fail(failure, { changed, listedAt: listedUntil, notes });
  const synced = { environmentKey, listedAt: now, syncedAt: now, failedAt: null, failure: null, notes };
  await saveFlagsmithEnvironment(
    database,
    synced,
    listed.value.map(({ id }) => idOf(id)),
  );
  return { changed, failure };
}

/** Makes the changes in their order, until one fails or the time is over. */
async function makeChanges(
  { syncSlice, clock }: SyncDeps,
  environmentKey: string,
  changes: readonly SyncChange[],
  until: number,
): Promise<SyncOutcome> {
  const made: SyncOutcome = { notes: [], changed: 0, failure: null };
  for (let from = 0; from < changes.length && made.failure === null; from += SLICE_SIZE) {
    if (clock() >= until) return { ...made, failure: { kind: "timeout" } };
    const outcome = await syncSlice({ environmentKey, changes: changes.slice(from, from + SLICE_SIZE), until });
    made.notes.push(...outcome.notes);
    made.changed += outcome.changed;
    made.failure = outcome.failure;
  }
  return made;
}

/** Records a failure. Returns what the operator can do about it. */
async function saveFailure(
  { database }: SyncDeps,
  environment: FlagsmithEnvironment,
  failure: FlagsmithFailure,
  failedAt: number,
): Promise<string> {
  const detail = adviceForFlagsmith(failure, environment.environmentKey);
  const { environmentKey, listedAt, syncedAt, notes } = environment;
  const failed = { environmentKey, listedAt, syncedAt, notes, failedAt, failure: detail };
  await saveFlagsmithEnvironment(database, failed, null);
  return detail;
}

/** Logs the notes that are new, and returns those to store. */
function reportNotes(notes: readonly FlagsmithNote[], last: readonly FlagsmithNote[], log: Log): FlagsmithNote[] {
  const shown = notes.slice(0, MAX_NOTES).map((note) => ({ ...note, text: note.text.slice(0, MAX_NOTE) }));
  for (const { experimentId, text } of shown) {
    const isKnown = last.some((note) => note.experimentId === experimentId && note.text === text);
    if (!isKnown) log("warn", "flagsmith.note", { experiment_id: experimentId, detail: text });
  }
  return shown;
}
