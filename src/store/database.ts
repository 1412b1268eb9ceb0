/** One SQLite statement. Values are bound, never part of the text. */
export type Statement = { sql: string; values: readonly (string | number | null)[] };

export type Row = Readonly<Record<string, unknown>>;

/** SQLite, wherever it runs. Every call may throw DatabaseUnavailable and nothing else. */
export type Database = {
  /** One statement that only reads; the nearest copy may answer, a moment behind the newest write. */
  read(statement: Statement): Promise<Row[]>;
  /** All statements in one transaction on the copy that takes writes; the rows of each. */
  transact(statements: readonly Statement[]): Promise<Row[][]>;
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
