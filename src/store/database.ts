import type { StoredSummary } from "./summaries.ts";

/** One SQLite statement. Values are bound, never part of the text. */
export type Statement = { sql: string; values: readonly (string | number | null)[] };

export type Row = Readonly<Record<string, unknown>>;

/** SQLite, wherever it runs. Every call may throw DatabaseUnavailable and nothing else. */
export type Database = {
  /** One statement that only reads; the nearest copy may answer, a moment behind the newest write. */
  read(statement: Statement): Promise<Row[]>;
  /** All statements in one transaction on the copy that takes writes; the rows of each. */
  transact(statements: readonly Statement[]): Promise<Row[][]>;
  /** What it has read a moment ago; absent: it keeps nothing. */
  recent?: RecentSummaries;
};

/** Summaries, by the ids of their experiments, for as long as it does no harm that another process has changed them. */
export type RecentSummaries = {
  get(experimentId: string): StoredSummary | undefined;
  /** To be called before a read. What it returns keeps the outcome, unless something was forgotten meanwhile. */
  beginRead(): (experimentId: string, summary: StoredSummary) => void;
  /** Those of experiments that have changed; null: all. */
  forget(experimentIds: readonly string[] | null): void;
};

/** The database did not do what it was asked. It may have: a write whose answer was lost stands. */
export class DatabaseUnavailable extends Error {
  override readonly name = "DatabaseUnavailable";
}

/** One statement on the copy that takes writes. */
export async function primary(database: Database, statement: Statement): Promise<Row[]> {
  const [rows] = await database.transact([statement]);
  return rows ?? [];
}

/**
 * Does whatever may change these experiments; null: any. No summary of before stays in memory, not even if the answer
 * to the write is lost.
 */
export async function changing<Done>(
  { recent }: Database,
  experimentIds: readonly string[] | null,
  write: Promise<Done>,
): Promise<Done> {
  try {
    return await write;
  } finally {
    recent?.forget(experimentIds);
  }
}

// What a column holds is known from the migrations; these say so to the compiler, and fail loudly if they are wrong.

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`${column} is not text`);
  return value;
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : textOf(row, column);
}

export function numberOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new TypeError(`${column} is not a number`);
  return value;
}

export function numberOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : numberOf(row, column);
}

/** SQLite keeps flags as 0 and 1. */
export function flagOf(row: Row, column: string): boolean {
  return numberOf(row, column) === 1;
}
