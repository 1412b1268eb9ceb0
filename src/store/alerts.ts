import { type Database, numberOf, numberOrNull, runOnPrimary, type Statement, textOf, textOrNull } from "./database.ts";

/** A message to be delivered. */
export type Alert = {
  /** The message's id. It is the same on each delivery, so that a receiver can drop duplicates. */
  id: string;
  /** Null: the alert concerns the whole installation. */
  experimentId: string | null;
  /** JSON, as Standard Webhooks signs and sends it. */
  body: string;
};

/** An alert that has not been delivered yet. */
export type PendingAlert = Alert & { failures: number };

/** Lists the alerts that are due, the longest overdue first. */
export async function listDueAlerts(database: Database, now: number, limit: number): Promise<PendingAlert[]> {
  const rows = await runOnPrimary(database, {
    sql: "SELECT id, experiment_id, body, failures FROM alerts WHERE due_at <= ? ORDER BY due_at LIMIT ?",
    values: [now, limit],
  });
  return rows.map((row) => ({
    id: textOf(row, "id"),
    experimentId: textOrNull(row, "experiment_id"),
    body: textOf(row, "body"),
    failures: numberOf(row, "failures"),
  }));
}

/** The time at which the next alert is due, in epoch milliseconds; null if there is none. */
export async function nextAlertDueAt(database: Database): Promise<number | null> {
  const [row] = await runOnPrimary(database, { sql: "SELECT min(due_at) AS due_at FROM alerts", values: [] });
  return row === undefined ? null : numberOrNull(row, "due_at");
}

export async function deleteAlert(database: Database, id: string): Promise<void> {
  await runOnPrimary(database, { sql: "DELETE FROM alerts WHERE id = ?", values: [id] });
}

export async function rescheduleAlert(database: Database, id: string, failures: number, dueAt: number): Promise<void> {
  const sql = "UPDATE alerts SET failures = ?, due_at = ? WHERE id = ?";
  await runOnPrimary(database, { sql, values: [failures, dueAt, id] });
}

/**
 * A statement that stores an alert.
 * @param condition uses the numbered parameters from ?1 on, which `values` holds
 */
export function alertStatement(
  { id, experimentId, body }: Alert,
  dueAt: number,
  condition = "1",
  values: Statement["values"] = [],
): Statement {
  const next = values.length + 1;
  return {
    sql: `INSERT INTO alerts (id, experiment_id, body, failures, due_at)
    SELECT ?${next}, ?${next + 1}, ?${next + 2}, 0, ?${next + 3} WHERE ${condition}`,
    values: [...values, id, experimentId, body, dueAt],
  };
}

/** The tables of the histories that decide what is alerted. */
export type HistoryTable = "health_histories" | "result_histories";

/**
 * A statement that stores a history. It goes into the transaction that stores the numbers, before the statement that
 * changes the experiment's row.
 * @param condition on the experiment's row; it uses the numbered parameters from ?1 on, which `values` holds
 */
export function historyStatement(
  table: HistoryTable,
  history: string,
  condition: string,
  values: Statement["values"],
): Statement {
  return {
    sql: `INSERT INTO ${table} (experiment_id, history) SELECT id, ?${values.length + 1} FROM experiments WHERE ${condition}
    ON CONFLICT (experiment_id) DO UPDATE SET history = excluded.history`,
    values: [...values, history],
  };
}
