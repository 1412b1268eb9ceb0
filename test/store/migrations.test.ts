import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import type { Database, Row, Statement } from "../../src/store/database.ts";
import { type Migration, migrate } from "../../src/store/migrations.ts";

const FOLDER = "migrations/d1";
const shipped: Migration[] = readdirSync(FOLDER)
  .sort()
  .map((name) => ({ name, sql: readFileSync(`${FOLDER}/${name}`, "utf8") }));

let sqlite: DatabaseSync;
let database: Database;
beforeEach(() => {
  sqlite = new DatabaseSync(":memory:");
  database = databaseOf(sqlite);
});

/** Wraps an SQLite database of this process. */
function databaseOf(sqlite: DatabaseSync): Database {
  const run = ({ sql, values }: Statement): Row[] => sqlite.prepare(sql).all(...values);
  return {
    read: async (statement) => run(statement),
    async transact(statements) {
      sqlite.exec("BEGIN IMMEDIATE");
      try {
        const rows = statements.map(run);
        sqlite.exec("COMMIT");
        return rows;
      } catch (error) {
        sqlite.exec("ROLLBACK");
        throw error;
      }
    },
  };
}

const schema = (of = sqlite) => of.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").all();
const appliedRows = () => sqlite.prepare("SELECT * FROM d1_migrations ORDER BY id").all();
const applied = () => appliedRows().map((row) => row["name"]);

describe("migrate", () => {
  it("applies every shipped migration in the order of names", async () => {
    await migrate(database, [...shipped].reverse());
    expect(shipped.length).toBeGreaterThan(0);
    expect(applied()).toEqual(shipped.map(({ name }) => name));
    const tables = schema().flatMap(({ type, name }) => (type === "table" ? [name] : []));
    expect(tables).toEqual(expect.arrayContaining(["experiments", "webhook_deliveries"]));
  });

  it("creates the same schema as SQLite does from the whole files", async () => {
    await migrate(database, shipped);
    const whole = new DatabaseSync(":memory:");
    for (const { sql } of shipped) whole.exec(sql);
    const bookkeeping = /d1_migrations|sqlite_sequence/;
    const objects = (of: DatabaseSync) => schema(of).filter(({ name }) => !bookkeeping.test(String(name)));
    expect(objects(sqlite)).toEqual(objects(whole));
  });

  it("changes nothing when it runs again", async () => {
    await migrate(database, shipped);
    sqlite.exec("INSERT INTO webhook_deliveries (id, received_at, receipt) VALUES ('w', 1, 'r')");
    const before = [schema(), appliedRows()];
    await migrate(database, shipped);
    expect([schema(), appliedRows()]).toEqual(before);
    expect(sqlite.prepare("SELECT id FROM webhook_deliveries").all()).toEqual([{ id: "w" }]);
  });

  it("applies only the migrations added since the last run", async () => {
    await migrate(database, shipped);
    const added = { name: "9999_added.sql", sql: "CREATE TABLE added (id TEXT);" };
    await migrate(database, [added, ...shipped]);
    expect(applied()).toEqual([...shipped.map(({ name }) => name), added.name]);
  });

  it("applies a migration before the next one that depends on it", async () => {
    const first = { name: "0001_a.sql", sql: "CREATE TABLE a (id TEXT);" };
    const second = { name: "0002_b.sql", sql: "ALTER TABLE a ADD COLUMN name TEXT;" };
    await migrate(database, [second, first]);
    expect(applied()).toEqual([first.name, second.name]);
  });

  it("rolls back a migration that fails halfway, and applies it once corrected", async () => {
    const bad = { name: "0001_bad.sql", sql: "CREATE TABLE half (id TEXT);\nCREATE TABLE half (id TEXT);\n" };
    await expect(migrate(database, [bad])).rejects.toThrow(
      "The migration 0001_bad.sql failed: table half already exists",
    );
    expect(applied()).toEqual([]);
    expect(schema().map(({ name }) => name)).not.toContain("half");
    await migrate(database, [{ ...bad, sql: "CREATE TABLE half (id TEXT);" }]);
    expect(applied()).toEqual([bad.name]);
  });

  it("does not split statements at a semicolon inside a string or a comment", async () => {
    const sql = "CREATE TABLE notes (note TEXT); \n\nINSERT INTO notes\n  VALUES ('one; two');\n-- three; four\n";
    await migrate(database, [{ name: "0001_notes.sql", sql }]);
    expect(sqlite.prepare("SELECT note FROM notes").all()).toEqual([{ note: "one; two" }]);
  });
});

describe("migrate › d1_migrations", () => {
  // The statement of `wrangler d1 migrations apply`.
  const WRANGLER_TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations(
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT UNIQUE,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
  )`;

  it("skips the migrations that wrangler has applied, and keeps its table", async () => {
    sqlite.exec(WRANGLER_TABLE);
    for (const { name, sql } of shipped) {
      sqlite.exec(sql);
      sqlite.prepare("INSERT INTO d1_migrations (name) VALUES (?)").run(name);
    }
    const before = [schema(), appliedRows()];
    await migrate(database, shipped);
    expect([schema(), appliedRows()]).toEqual(before);
  });

  it("creates the table with the same columns as wrangler", async () => {
    await migrate(database, shipped);
    const columns = (of: DatabaseSync) => of.prepare("PRAGMA table_info(d1_migrations)").all();
    const wrangler = new DatabaseSync(":memory:");
    wrangler.exec(WRANGLER_TABLE);
    expect(columns(sqlite)).toEqual(columns(wrangler));
    expect(appliedRows()).toEqual(
      shipped.map(({ name }, index) => ({
        id: index + 1,
        name,
        applied_at: expect.stringMatching(/^\d{4}-\d\d-\d\d /),
      })),
    );
  });
});
