import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { readPage } from "./pages.ts";

const hasSqlite = spawnSync("sqlite3", ["--version"]).status === 0;
if (!hasSqlite) console.warn("The backup of the docs is skipped because sqlite3 is not installed.");

/** The commands of the page's section on backups: one block backs up, the other one restores. */
const [, section = ""] = readPage("docs/deploy-deno.md").split(/^## Back up.*$/m);
const [backUp = "", restore = ""] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);

describe.skipIf(!hasSqlite)("the backup of docs/deploy-deno.md", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-exposures-backup-"));
    for (const name of ["lib", "crashed", "backups"]) mkdirSync(join(folder, name));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const runIn = (state: string, commands: string) => {
    const script = commands
      .replaceAll("/var/lib/edge-exposures/", `${join(folder, state)}/`)
      .replaceAll("/var/backups/", `${join(folder, "backups")}/`);
    execFileSync("sh", ["-e", "-c", script]);
  };

  it("is restored whole after a crash that left a write-ahead log", async () => {
    const database = openSqlite(join(folder, "lib/edge-exposures.sqlite"));
    const write = (sql: string) => database.transact([{ sql, values: [] }]);
    await write("CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)");
    const addNotes = `INSERT INTO notes (note) SELECT hex(randomblob(500)) FROM
      (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n)`;
    await write(addNotes);
    runIn("lib", backUp);
    await write("DELETE FROM notes WHERE id % 2 = 0");
    await write("CREATE TABLE later (id TEXT)");
    await write(addNotes);
    // The files as a crash leaves them: closing the database would remove its log.
    cpSync(join(folder, "lib"), join(folder, "crashed"), { recursive: true });
    database.close();

    runIn("crashed", restore);
    const restored = new DatabaseSync(join(folder, "crashed/edge-exposures.sqlite"));
    expect(restored.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(restored.prepare("SELECT count(*) AS notes FROM notes").all()).toEqual([{ notes: 100 }]);
    expect(restored.prepare("SELECT name FROM sqlite_schema ORDER BY name").all()).toEqual([{ name: "notes" }]);
    restored.close();
  });
});
