import { type Database, numberOf, numberOrNull, type Statement, textOf } from "./database.ts";

// The experiments whose refreshes have failed for long, and the one open alert about them.

/** The experiments whose refreshes have failed for some time. */
export type Failing = {
  experiments: number;
  /** The first of them, in the order of their ids. */
  experimentIds: string[];
  /** The first failure, in epoch milliseconds. */
  since: number;
  /** The most frequent kind of their last failures. */
  kind: string;
};

const MAX_IDS = 10;

/**
 * Finds the experiments whose refreshes have failed since `since` or longer.
 * @returns `failing`, null if there are none; and `alerted`, their number in the open alert, null if none is open
 */
export async function findFailing(
  database: Database,
  since: number,
  now: number,
): Promise<{ failing: Failing | null; alerted: number | null }> {
  const failing = `FROM refresh_failures JOIN experiments ON id = experiment_id WHERE since <= ?1 AND started_at <= ?2`;
  const values = [since, now];
  const [totals, kinds, ids, alerts] = await database.transact([
    { sql: `SELECT count(*) AS experiments, min(since) AS since ${failing}`, values },
    { sql: `SELECT kind ${failing} GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 1`, values },
    { sql: `SELECT id ${failing} ORDER BY id LIMIT ${MAX_IDS}`, values },
    { sql: "SELECT experiments FROM failing_alert", values: [] },
  ]);
  const [total, kind, alert] = [totals?.[0], kinds?.[0], alerts?.[0]];
  const first = total === undefined ? null : numberOrNull(total, "since");
  return {
    failing:
      total === undefined || kind === undefined || first === null
        ? null
        : {
            experiments: numberOf(total, "experiments"),
            experimentIds: (ids ?? []).map((row) => textOf(row, "id")),
            since: first,
            kind: textOf(kind, "kind"),
          },
    alerted: alert === undefined ? null : numberOf(alert, "experiments"),
  };
}

/**
 * Statements that set the number of experiments in the open alert, or close it.
 * @param experiments null: the alert is over
 */
export function failingAlertStatement(experiments: number | null): Statement {
  if (experiments === null) return { sql: "DELETE FROM failing_alert", values: [] };
  return {
    sql: "INSERT INTO failing_alert (only, experiments) VALUES (1, ?1) ON CONFLICT DO UPDATE SET experiments = ?1",
    values: [experiments],
  };
}

/** A condition: the open alert still has this number of experiments; null: none is open. */
export const isStillAlerted = (parameter: string) => `(SELECT experiments FROM failing_alert) IS ${parameter}`;
