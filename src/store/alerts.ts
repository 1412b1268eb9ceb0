import * as z from "zod";
import type { Alert } from "../alerts/health-alert.ts";
import { checkNames } from "../exposures/health.ts";
import type { Watch } from "../exposures/health-history.ts";
import {
  type Database,
  numberOf,
  numberOrNull,
  primary,
  type Row,
  type Statement,
  textOf,
  textOrNull,
} from "./database.ts";

export type WaitingAlert = Alert & { failures: number };

/** Alerts that are due, the one that has waited longest first. */
export async function listDueAlerts(database: Database, now: number, limit: number): Promise<WaitingAlert[]> {
  const rows = await primary(database, {
    sql: "SELECT id, experiment_id, body, failures FROM alerts WHERE due_at <= ? ORDER BY due_at LIMIT ?",
    values: [now, limit],
  });
  return rows.map((row) => ({
    id: textOf(row, "id"),
    experimentId: textOf(row, "experiment_id"),
    body: textOf(row, "body"),
    failures: numberOf(row, "failures"),
  }));
}

/** When the next one is due; null: there is none. */
export async function nextAlertDue(database: Database): Promise<number | null> {
  const [row] = await primary(database, { sql: "SELECT min(due_at) AS due_at FROM alerts", values: [] });
  return row === undefined ? null : numberOrNull(row, "due_at");
}

export async function forgetAlert(database: Database, id: string): Promise<void> {
  await primary(database, { sql: "DELETE FROM alerts WHERE id = ?", values: [id] });
}

export async function postponeAlert(database: Database, id: string, failures: number, dueAt: number): Promise<void> {
  const sql = "UPDATE alerts SET failures = ?, due_at = ? WHERE id = ?";
  await primary(database, { sql, values: [failures, dueAt, id] });
}

const level = z.int();
const watch = z.partialRecord(z.enum(checkNames), z.strictObject({ last: level, told: level }));

/** The `watch` of an experiment's row; of one that was never watched it is empty. */
export function watchOf(row: Row): Watch {
  return watch.parse(JSON.parse(textOrNull(row, "watch") ?? "{}"));
}

/**
 * What notes a watch and the alerts that it led to, for a transaction that changes the experiment only afterwards.
 * @param condition on the experiment's row, with the numbered parameters from ?1 on that `values` holds
 */
export function noteNews(
  { watch, alerts }: { watch: Watch; alerts: readonly Alert[] },
  dueAt: number,
  condition: string,
  values: Statement["values"],
): Statement[] {
  const next = values.length + 1;
  return [
    {
      sql: `INSERT INTO health_watches (experiment_id, watch) SELECT id, ?${next} FROM experiments WHERE ${condition}
      ON CONFLICT (experiment_id) DO UPDATE SET watch = excluded.watch WHERE watch != excluded.watch`,
      values: [...values, JSON.stringify(watch)],
    },
    ...alerts.map(({ id, body }) => ({
      sql: `INSERT INTO alerts (id, experiment_id, body, failures, due_at)
      SELECT ?${next}, id, ?${next + 1}, 0, ?${next + 2} FROM experiments WHERE ${condition}`,
      values: [...values, id, body, dueAt],
    })),
  ];
}
