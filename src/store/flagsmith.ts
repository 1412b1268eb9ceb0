import type { Experiment } from "../experiment.ts";
import {
  type Database,
  flagOf,
  numberOf,
  numberOrNull,
  type Row,
  runOnPrimary,
  textOf,
  textOrNull,
} from "./database.ts";
import { EXPERIMENT_COLUMNS, experimentOf } from "./experiment-row.ts";
import type { ExperimentInput } from "./experiments.ts";

/** Something that could not be synced as it is in Flagsmith, and what to do about it. */
export type FlagsmithNote = { experimentId: string; text: string };

/** The findings of the last syncs of an environment. Times are null before the first of their kind. */
export type FlagsmithEnvironment = {
  environmentKey: string;
  /** The last complete listing. */
  listedAt: number | null;
  /** The last sync without a failure. */
  syncedAt: number | null;
  /** The last failure; null after a success. */
  failedAt: number | null;
  failure: string | null;
  notes: readonly FlagsmithNote[];
};

/**
 * Claims the next sync. Returns 0, or the time to wait in milliseconds if the last one began less than `intervalMs` ago.
 * Only one of two simultaneous claims succeeds.
 */
export async function claimSync(database: Database, now: number, intervalMs: number): Promise<number> {
  const [claimed, last] = await database.transact([
    {
      sql: `INSERT INTO flagsmith_sync (only, started_at) VALUES (1, ?1)
        ON CONFLICT DO UPDATE SET started_at = ?1 WHERE started_at NOT BETWEEN ?1 - ?2 + 1 AND ?1 RETURNING 1`,
      values: [now, intervalMs],
    },
    { sql: "SELECT started_at FROM flagsmith_sync", values: [] },
  ]);
  if (claimed?.[0] !== undefined) return 0;
  const row = last?.[0];
  return row === undefined ? intervalMs : Math.max(1, numberOf(row, "started_at") + intervalMs - now);
}

/** Returns what the last syncs of these environments found. */
export async function listFlagsmithEnvironments(
  database: Database,
  keys: readonly string[],
): Promise<FlagsmithEnvironment[]> {
  const rows = await database.read({ sql: "SELECT * FROM flagsmith_environments", values: [] });
  const found = new Map(rows.map((row) => [row["environment_key"], row]));
  return keys.map((environmentKey) => {
    const row = found.get(environmentKey);
    if (row === undefined)
      return { environmentKey, listedAt: null, syncedAt: null, failedAt: null, failure: null, notes: [] };
    return {
      environmentKey,
      listedAt: numberOrNull(row, "listed_at"),
      syncedAt: numberOrNull(row, "synced_at"),
      failedAt: numberOrNull(row, "failed_at"),
      failure: textOrNull(row, "failure"),
      notes: notesOf(textOf(row, "notes")),
    };
  });
}

function notesOf(json: string): FlagsmithNote[] {
  const notes: unknown = JSON.parse(json);
  if (!Array.isArray(notes)) throw new TypeError("notes is not a list");
  return notes.map((note: Row) => ({ experimentId: textOf(note, "experimentId"), text: textOf(note, "text") }));
}

/** Records the outcome of a sync. Experiments that Flagsmith no longer lists are forgotten. */
export async function saveFlagsmithEnvironment(
  database: Database,
  { environmentKey, listedAt, syncedAt, failedAt, failure, notes }: FlagsmithEnvironment,
  listedIds: readonly string[] | null,
): Promise<void> {
  await database.transact([
    {
      sql: `INSERT OR REPLACE INTO flagsmith_environments (environment_key, listed_at, synced_at, failed_at, failure, notes)
        VALUES (?, ?, ?, ?, ?, ?)`,
      values: [environmentKey, listedAt, syncedAt, failedAt, failure, JSON.stringify(notes)],
    },
    {
      sql: `DELETE FROM flagsmith_experiments
        WHERE ?1 IS NOT NULL AND environment_key = ?2 AND experiment_id NOT IN (SELECT value FROM json_each(?1))`,
      values: [listedIds === null ? null : JSON.stringify(listedIds), environmentKey],
    },
  ]);
}

/** The facts that were read of an experiment in Flagsmith. */
export type ReadExperiment = {
  experimentId: string;
  /** Flagsmith's `updated_at`. */
  changedAt: string;
  /** JSON of the rollout. */
  rollout: string;
  /** The last time at which the rollout was read, or could not be read. 0: it must be read again. */
  readAt: number;
};

/** The number of webhooks about features of the environment ?1. */
const RECEIVED_WEBHOOKS = "coalesce((SELECT received FROM flagsmith_webhooks WHERE environment_key = ?1), 0)";

/**
 * Returns the number of webhooks received about features of an environment. A new experiment has no row of its own in which a
 * webhook could say that it must be read again.
 */
export async function countWebhooks(database: Database, environmentKey: string): Promise<number> {
  const [row] = await runOnPrimary(database, { sql: `SELECT ${RECEIVED_WEBHOOKS} AS count`, values: [environmentKey] });
  return row === undefined ? 0 : numberOf(row, "count");
}

/** An experiment of Flagsmith as it is stored here. */
export type StoredExperiment = Experiment & { isFinal: boolean };

/** Lists what is known of an environment's experiments in Flagsmith: as they are stored, and what was read of them. */
export async function listFlagsmithExperiments(
  database: Database,
  environmentKey: string,
): Promise<{ stored: StoredExperiment[]; read: ReadExperiment[] }> {
  const [experiments = [], read = []] = await database.transact([
    {
      sql: `SELECT ${EXPERIMENT_COLUMNS}, is_final FROM experiments WHERE environment_key = ? AND source = 'flagsmith'`,
      values: [environmentKey],
    },
    { sql: "SELECT * FROM flagsmith_experiments WHERE environment_key = ?", values: [environmentKey] },
  ]);
  return {
    stored: experiments.map((row) => ({ ...experimentOf(row), isFinal: flagOf(row, "is_final") })),
    read: read.map((row) => ({
      experimentId: textOf(row, "experiment_id"),
      changedAt: textOf(row, "changed_at"),
      rollout: textOf(row, "rollout"),
      readAt: numberOf(row, "read_at"),
    })),
  };
}

/**
 * Stores what was read of experiments in Flagsmith. They must be read again if a webhook came since `webhooks` were
 * counted, because it may have come after the read.
 */
export async function saveReadExperiments(
  database: Database,
  environmentKey: string,
  read: readonly ReadExperiment[],
  webhooks: number,
): Promise<void> {
  if (read.length === 0) return;
  await runOnPrimary(database, {
    sql: `INSERT OR REPLACE INTO flagsmith_experiments (environment_key, experiment_id, changed_at, rollout, read_at)
      SELECT ?1, value ->> 'experimentId', value ->> 'changedAt', value ->> 'rollout',
        CASE WHEN ${RECEIVED_WEBHOOKS} = ?3 THEN value ->> 'readAt' ELSE 0 END FROM json_each(?2)`,
    values: [environmentKey, JSON.stringify(read), webhooks],
  });
}

/**
 * Records that the rollouts of these experiments could not be read, so that others are read again before them. A request
 * of a webhook to read them stays.
 */
export async function saveUnreadExperiments(
  database: Database,
  environmentKey: string,
  ids: readonly string[],
  now: number,
): Promise<void> {
  if (ids.length === 0) return;
  await runOnPrimary(database, {
    sql: `UPDATE flagsmith_experiments SET read_at = ?3
      WHERE environment_key = ?1 AND experiment_id IN (SELECT value FROM json_each(?2)) AND read_at > 0`,
    values: [environmentKey, JSON.stringify(ids), now],
  });
}

/**
 * Makes the next sync read the rollouts of a feature's experiments, whose changes leave `updated_at` as it is. An experiment
 * that has ended here keeps its split: a later rollout is not its own.
 */
export async function forgetRollouts(database: Database, environmentKey: string, featureName: string): Promise<void> {
  await database.transact([
    {
      sql: `UPDATE flagsmith_experiments SET read_at = 0 WHERE environment_key = ?1 AND experiment_id IN
        (SELECT id FROM experiments
          WHERE environment_key = ?1 AND feature_name = ?2 AND source = 'flagsmith' AND ended_at IS NULL)`,
      values: [environmentKey, featureName],
    },
    {
      sql: `INSERT INTO flagsmith_webhooks (environment_key, received) VALUES (?, 1)
        ON CONFLICT DO UPDATE SET received = received + 1`,
      values: [environmentKey],
    },
  ]);
}

/** Finds an experiment of the same feature whose window overlaps. */
export async function findConflict(database: Database, input: ExperimentInput): Promise<string | null> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT id FROM experiments WHERE environment_key = ? AND feature_name = ? AND id != ?
        AND ? < coalesce(ended_at, 9e15) AND started_at < coalesce(?, 9e15) ORDER BY is_final, started_at, id LIMIT 1`,
    values: [input.environmentKey, input.featureName, input.id, input.startedAt, input.endedAt],
  });
  return row === undefined ? null : textOf(row, "id");
}
