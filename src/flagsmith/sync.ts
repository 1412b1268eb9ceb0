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
import { adviceForFlagsmith, type FlagsmithFailure } from "./flagsmith-failure.ts";
import { idOf } from "./mapping.ts";
import { planSync } from "./plan.ts";
import type { SliceOutcome, SyncSlice } from "./sync-slice.ts";

export type SyncDeps = {
  database: Database;
  client: FlagsmithClient;
  environments: readonly string[];
  /** Makes the changes of a slice, perhaps in an invocation of its own. */
  syncSlice: (slice: SyncSlice) => Promise<SliceOutcome>;
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
    const known = new Map((await listFlagsmithEnvironments(database)).map((each) => [each.environmentKey, each]));
    const current = environments.map((environmentKey) => known.get(environmentKey) ?? neverSynced(environmentKey));
    let changed = 0;
    // If time runs out, the next sweep starts with the others.
    for (const each of current.toSorted((a, b) => triedAt(a) - triedAt(b)))
      changed += await syncEnvironment(deps, each, now + DEADLINE_MS);
    if (changed > 0) await wakeDispatcher(dispatcher, log, null);
  } catch (error) {
    log("error", "flagsmith.failed", { error: describeBug(error) });
  }
  return 0;
}

function neverSynced(environmentKey: string): FlagsmithEnvironment {
  return { environmentKey, listedAt: null, syncedAt: null, failedAt: null, failure: null, notes: [] };
}

const triedAt = ({ syncedAt, failedAt }: FlagsmithEnvironment) => Math.max(syncedAt ?? 0, failedAt ?? 0);

/** Returns the number of changed experiments. */
async function syncEnvironment(deps: SyncDeps, last: FlagsmithEnvironment, until: number): Promise<number> {
  const { database, client, clock, log } = deps;
  const { environmentKey } = last;
  const now = clock();
  const fail = async (failure: FlagsmithFailure, found: Partial<FlagsmithEnvironment> = {}) => {
    const detail = adviceForFlagsmith(failure, environmentKey);
    log("warn", "flagsmith.failed", { environment_key: environmentKey, kind: failure.kind, detail });
    await saveFlagsmithEnvironment(database, { ...last, ...found, failedAt: clock(), failure: detail }, null);
  };

  const listed = await client.listExperiments(environmentKey, until);
  const events = listed.ok ? await client.listMetricEvents(environmentKey, until) : listed;
  if (!listed.ok || !events.ok) {
    await fail(listed.ok && !events.ok ? events.failure : listed.ok ? { kind: "unexpected" } : listed.failure);
    return 0;
  }

  const known = await listFlagsmithExperiments(database, environmentKey);
  const { listedAt } = last;
  const plan = planSync({ environmentKey, listed: listed.value, events: events.value, ...known, listedAt, now });
  const notes = [...plan.notes];
  let changed = 0;
  let failure: FlagsmithFailure | null = null;
  for (let from = 0; from < plan.changes.length && failure === null; from += SLICE_SIZE) {
    if (clock() >= until) {
      failure = { kind: "timeout" };
      break;
    }
    const outcome = await deps.syncSlice({
      environmentKey,
      changes: plan.changes.slice(from, from + SLICE_SIZE),
      until,
    });
    notes.push(...outcome.notes);
    changed += outcome.changed;
    failure = outcome.failure;
  }

  const found = { listedAt: now, notes: reportNotes(notes, last.notes, log) };
  if (failure !== null) await fail(failure, found);
  else {
    const ids = listed.value.map(({ id }) => idOf(id));
    await saveFlagsmithEnvironment(database, { ...last, ...found, syncedAt: now, failedAt: null, failure: null }, ids);
  }
  if (changed > 0) log("info", "flagsmith.synced", { environment_key: environmentKey, changed });
  return changed;
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
