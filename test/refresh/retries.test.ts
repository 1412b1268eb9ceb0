import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { refreshOrRetry } from "../../src/refresh/retries.ts";
import { type Changes, type Database, type Row, runOnPrimary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { findFailing } from "../../src/store/failing-alert.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { successStatement } from "../../src/store/refresh-failures.ts";
import { recordManualRequest } from "../../src/store/refresh-requests.ts";

const START = Date.UTC(2026, 5, 1);
const ID = "some";

let sqlite: Database;
let now: number;
/** The summaries that the last transaction invalidates. */
let invalidated: Changes | undefined;
beforeEach(async () => {
  sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = START;
  const definition = { environmentKey: "env", featureName: "f", variants: [], metrics: [], endedAt: null };
  await putExperiment(sqlite, { id: ID, name: ID, ...definition, startedAt: START - 1 }, null, START);
});

async function getRow(): Promise<Row> {
  const [row] = await runOnPrimary(sqlite, { sql: "SELECT * FROM experiments WHERE id = ?", values: [ID] });
  return row ?? {};
}

/** Runs a refresh of ten seconds that throws, after `meanwhile`. */
function fail(meanwhile: () => Promise<unknown> = async () => null) {
  const database: Database = {
    read: sqlite.read,
    transact(statements, changes) {
      invalidated = changes;
      return sqlite.transact(statements, changes);
    },
  };
  const deps = { database, clock: () => now, random: () => 0, log: () => undefined };
  return refreshOrRetry(deps, ID, async () => {
    await beginRefresh(database, ID);
    await meanwhile();
    now += 10_000;
    throw new TypeError("boom");
  });
}

const requestManually = () => recordManualRequest(sqlite, "refresh", ID, null, now, 0);

describe("a refresh that throws", () => {
  it("stores the time of the error as a new version, and invalidates cached summaries", async () => {
    const { version } = await getRow();
    expect(await fail()).toEqual({ status: "failed", kind: "bug", retryAt: START + 15_000 });
    expect(await getRow()).toMatchObject({ last_error_at: START + 10_000, version: Number(version) + 1 });
    expect(invalidated).toEqual([ID]);
  });

  it("counts as failing until one succeeds", async () => {
    await fail();
    expect((await findFailing(sqlite, now, now)).failing).toMatchObject({ experimentIds: [ID], kind: "bug" });
    await sqlite.transact([successStatement(ID)]);
    expect((await findFailing(sqlite, now, now)).failing).toBeNull();
  });

  it("does not charge its manual request against the minimum interval", async () => {
    await requestManually();
    await fail();
    expect(await getRow()).toMatchObject({ manually_requested_at: null, refresh_requested_at: START });
  });

  it("leaves a manual request charged that arrived meanwhile", async () => {
    await fail(async () => {
      now += 1;
      await requestManually();
    });
    expect(await getRow()).toMatchObject({ manually_requested_at: START + 1 });
  });

  it.each([
    ["has become final", "is_final = 1, refresh_requested_at = NULL"],
    ["has become a draft", "started_at = NULL"],
  ])("sets no error on an experiment that %s, because no refresh would clear it", async (_, change) => {
    await fail(() => runOnPrimary(sqlite, { sql: `UPDATE experiments SET ${change}`, values: [] }));
    expect(await getRow()).toMatchObject({ last_error_at: null });
  });
});
