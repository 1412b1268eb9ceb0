import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { connectFlagsmith } from "../../src/flagsmith/flagsmith-client.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { appDeps } from "../support/app-deps.ts";

const SECRET = "secret of Flagsmith";
const MINUTE = 60_000;

let now: number;
let app: ReturnType<typeof createApp>;
let sqlite: ReturnType<typeof openSqlite>;
beforeEach(async () => {
  sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = Date.UTC(2026, 5, 1);
  const env = { ADMIN_TOKEN: "admin", FLAGSMITH_WEBHOOK_SECRET: SECRET };
  app = createApp(appDeps(env, sqlite, { clock: () => now }));
  for (const environment_key of ["production", "staging"]) {
    const body = { environment_key, feature_name: "button", started_at: "2026-05-01T00:00:00.000Z" };
    const headers = { Authorization: "Bearer admin", "Content-Type": "application/json" };
    const init = { method: "PUT", headers, body: JSON.stringify(body) };
    expect((await app.request(`/v1/experiments/${environment_key}`, init, {})).status).toBe(201);
  }
});

async function send(environment: string, data: object) {
  const body = JSON.stringify({ event_type: "FLAG_UPDATED", data });
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = { "X-Flagsmith-Signature": signature, "Content-Type": "application/json" };
  const response = await app.request(`/webhooks/flagsmith/${environment}`, { method: "POST", headers, body }, {});
  expect(response.status).toBe(202);
  return response.json();
}

const requestedAt = async (id: string) => {
  const sql = "SELECT refresh_requested_at FROM experiments WHERE id = ?";
  return (await sqlite.read({ sql, values: [id] }))[0]?.["refresh_requested_at"];
};

const flag = { new_state: { feature: { name: "button" }, enabled: true } };

describe("a Flagsmith webhook", () => {
  it("requests a sync if its environment is synced, and is accepted although the request fails", async () => {
    const env = { FLAGSMITH_WEBHOOK_SECRET: SECRET, FLAGSMITH_API_KEY: "key", FLAGSMITH_ENVIRONMENTS: "production" };
    const lines: string[] = [];
    let requests = 0;
    const requestSync = async () => {
      requests += 1;
      throw new Error("the dispatcher can't be reached");
    };
    const client = connectFlagsmith(
      { apiUrl: new URL("http://flagsmith.test/"), apiKey: "key" },
      { clock: () => now, random: () => 0 },
    );
    const log = (_: string, event: string) => void lines.push(event);
    app = createApp(appDeps(env, sqlite, { clock: () => now, log, flagsmith: { client, requestSync } }));
    expect(await send("staging", flag)).toEqual({ accepted: ["staging"], skipped: [] });
    expect(requests).toBe(0);
    expect(await send("production", flag)).toEqual({ accepted: ["production"], skipped: [] });
    expect(requests).toBe(1);
    expect(lines).toContain("flagsmith.failed");
  });
});

describe("a repeated Flagsmith webhook", () => {
  it("changes nothing in the same five minutes of the clock", async () => {
    expect(await send("production", flag)).toEqual({ accepted: ["production"], skipped: [] });
    const first = await requestedAt("production");
    now += 5 * MINUTE - 1;
    const skipped = [{ experiment_id: "production", reason: "repeated" }];
    expect(await send("production", flag)).toEqual({ accepted: [], skipped });
    expect(await requestedAt("production")).toBe(first);
    // A webhook writes nothing to a request that still waits for its refresh.
    await beginRefresh(sqlite, "production");
    now += 1;
    // While a request waits, another one writes nothing.
    await beginRefresh(sqlite, "production");
    expect(await send("production", flag)).toEqual({ accepted: ["production"], skipped: [] });
    expect(await requestedAt("production")).toBe(now);
  });

  it("is one with the same body and environment", async () => {
    await send("production", flag);
    expect(await send("staging", flag)).toEqual({ accepted: ["staging"], skipped: [] });
    const other = { ...flag, timestamp: "2026-06-01T00:00:01Z" };
    expect(await send("production", other)).toEqual({ accepted: ["production"], skipped: [] });
  });
});
