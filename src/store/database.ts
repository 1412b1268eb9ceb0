/** One SQLite statement. Its values are bound, never part of the text. */
export type Statement = { sql: string; values: readonly (string | number | null)[] };

export type Row = Readonly<Record<string, unknown>>;

/** The experiments whose summaries a transaction may change: their ids, or any. */
export type Changes = readonly string[] | "any";

/** SQLite on any runtime. Every method may throw DatabaseUnavailable, and nothing else. */
export type Database = {
  /** Runs one read-only statement. The nearest replica may run it and may not have the newest write yet. */
  read(statement: Statement): Promise<Row[]>;
  /**
   * Runs all statements in one transaction on the primary, and returns the rows of each.
   * @param changes the summaries to invalidate in a cache; none by default
   */
  transact(statements: readonly Statement[], changes?: Changes): Promise<Row[][]>;
};

/** Messages for the operator. */
const ADVICE = {
  not_migrated: "The database lacks a table or a column. Apply the migrations in migrations/d1.",
  full: "The database is full. Delete experiments that are no longer needed, or give it more space.",
  outage: "The database did not answer. If this persists, check its status.",
};
export type DatabaseFailure = keyof typeof ADVICE;

/** The database failed, or its response was lost. After an outage, a write may still have been committed. */
export class DatabaseUnavailable extends Error {
  override readonly name = "DatabaseUnavailable";
  readonly reason: DatabaseFailure;

  constructor(reason: DatabaseFailure, options?: ErrorOptions) {
    super(ADVICE[reason], options);
    this.reason = reason;
  }

  /** Tells the reasons apart by the error's text. SQLite's own texts appear in those of D1. */
  static because(error: unknown): DatabaseUnavailable {
    return new DatabaseUnavailable(reasonOf(String(error)), { cause: error });
  }
}

function reasonOf(text: string): DatabaseFailure {
  if (/\bno such (table|column)\b|\bhas no column named\b/i.test(text)) return "not_migrated";
  if (/\bdatabase or disk is full\b|\bSQLITE_FULL\b|\bExceeded maximum DB size\b/i.test(text)) return "full";
  return "outage";
}

/** Runs one statement on the primary. */
export async function runOnPrimary(database: Database, statement: Statement, changes?: Changes): Promise<Row[]> {
  const [rows] = await database.transact([statement], changes);
  return rows ?? [];
}

/** Beyond this time after a write, every replica is expected to have it. Usually it takes less than a second. */
export const REPLICA_LAG_MS = 60_000;

/** The database with its reads on the primary, which has every write. */
export function onPrimary(database: Database): Database {
  return { ...database, read: (statement) => runOnPrimary(database, statement) };
}

// The migrations define the types of the columns. These functions narrow them for the compiler, and throw if they differ.

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

/** A flag, which SQLite stores as 0 or 1. */
export function flagOf(row: Row, column: string): boolean {
  return numberOf(row, column) === 1;
}
