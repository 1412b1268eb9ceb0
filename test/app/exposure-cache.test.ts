import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sign } from "../support/sign.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

// What one process remembers for an hour, it must forget as soon as itself changes it: by a request, or in its
// coordinators, which in this Worker share the isolate. The clock and the rest are in test/http/exposures-memory.test.ts.

const DAY = 86_400_000;

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings, { CACHE_SECONDS: 3600, REFRESH_MIN_INTERVAL_SECONDS: 0 });
});
afterAll(() => worker.stop());

const pathOf = (id: string) => `/v1/experiments/${id}`;
const get = (id: string, headers: Record<string, string> = {}) =>
  worker.call("GET", `${pathOf(id)}/exposures`, undefined, headers);
const isHit = ({ headers }: Awaited<ReturnType<typeof get>>) => headers.get("Server-Timing") === "cache;desc=hit";

function put(id: string, more: object = {}) {
  const started_at = new Date(Date.now() - DAY).toISOString();
  return worker.call("PUT", pathOf(id), { environment_key: id, feature_name: id, started_at, ...more });
}

const computed = (id: string) =>
  until(
    () => get(id),
    ({ json }) => json.exposures !== null && json.refresh_requested_at === null,
  );

/** An experiment of one's own, whose answer is in memory. */
async function startWarm() {
  count += 1;
  const id = `warm-${count}`;
  expect((await put(id)).status).toBe(201);
  await computed(id);
  // What is under way when it is computed may still make the process forget it once.
  const answer = await until(() => get(id), isHit);
  return { id, answer };
}

/** As an export has it. */
async function lineOf(id: string): Promise<string> {
  const { text } = await worker.call("GET", "/v1/export");
  return text.split("\n").find((line) => line.includes(`"id":"${id}"`)) ?? "";
}

const expose = (id: string) =>
  warehouse.insert([
    { environment_key: id, feature_name: id, identifier: "one", value: "control", timestamp: Date.now() - 3_600_000 },
  ]);

describe("exposures from memory", () => {
  it("are those of the database, with the same headers", async () => {
    const { id, answer } = await startWarm();
    const again = await get(id);
    expect(isHit(again)).toBe(true);
    expect(again.text).toBe(answer.text);
    for (const name of ["ETag", "Cache-Control", "Content-Type", "Vary"])
      expect(again.headers.get(name)).toBe(answer.headers.get(name));
    expect(again.headers.get("X-Request-Id")).not.toBe(answer.headers.get("X-Request-Id"));
  });

  it("are a 304 for who has them", async () => {
    const { id, answer } = await startWarm();
    const unchanged = await get(id, { "If-None-Match": answer.headers.get("ETag") ?? "" });
    expect([unchanged.status, unchanged.text, isHit(unchanged)]).toEqual([304, "", true]);
  });

  it.each<[what: string, change: (id: string) => Promise<unknown>]>([
    ["a sweep", () => worker.sweep(Date.now() + 1000)],
    ["a call", (id) => worker.call("POST", `${pathOf(id)}/exposures/refresh`)],
    ["an edit", (id) => put(id, { name: "another" })],
    [
      "a webhook",
      (id) => {
        const body = JSON.stringify({ environment_key: id });
        return worker.call("POST", "/webhooks/refresh", body, sign("webhook-signature", body));
      },
    ],
  ])("show what %s has brought as soon as it is there", async (_, change) => {
    const { id } = await startWarm();
    await expose(id);
    await change(id);
    const { json } = await until(
      () => get(id),
      (answer) => answer.json.exposures?.total_identities === 1,
      { seconds: 20 },
    );
    expect(json.exposures.variants).toEqual({ control: 1 });
  });

  it("end with a deletion, and an import brings its own", async () => {
    const { id, answer } = await startWarm();
    const line = await lineOf(id);
    expect((await worker.call("DELETE", pathOf(id))).status).toBe(204);
    expect((await get(id)).status).toBe(404);
    const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
    expect(imported.json.imported).toEqual([id]);
    expect((await get(id)).json).toEqual(answer.json);
  });

  it("show a refresh that failed, and the one after it", async () => {
    const { id } = await startWarm();
    const { table } = warehouse.settings;
    await warehouse.command(`RENAME TABLE ${table} TO ${table}_away`);
    try {
      await worker.sweep();
      expect((await get(id)).json.last_error_at).not.toBeNull();
    } finally {
      await warehouse.command(`RENAME TABLE ${table}_away TO ${table}`);
    }
    await worker.sweep();
    expect((await get(id)).json.last_error_at).toBeNull();
  });
});

it("a stampede on what nobody has asked for yet: everybody gets the same right answer", async () => {
  const { id, answer } = await startWarm();
  const own = { id: "stampede", feature_name: "stampede" };
  const line = JSON.stringify({ ...JSON.parse(await lineOf(id)), ...own });
  const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
  expect(imported.json.imported).toEqual(["stampede"]);

  const answers = await Promise.all(Array.from({ length: 300 }, () => get("stampede")));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers[0]?.json.exposures).toEqual(answer.json.exposures);
  expect(answers.some((each) => !isHit(each))).toBe(true);
  expect(isHit(await get("stampede"))).toBe(true);
});
