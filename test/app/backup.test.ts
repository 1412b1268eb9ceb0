import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.now();
const iso = (time: number) => new Date(time).toISOString();
/** Keys whose order JSON does not keep, and such as break careless code. */
const HOSTILE = ["10", "2", "__proto__", "constructor", 'a"b', "$multiple", "ключ"];

let warehouse: TestWarehouse;
let source: TestWorker;
let target: TestWorker;

beforeAll(async () => {
  warehouse = await createWarehouse();
  [source, target] = await Promise.all([startWorker(warehouse.settings), startWorker(warehouse.settings)]);
  await warehouse.insert(
    ["hours", "days", "final"].flatMap((feature_name) =>
      HOSTILE.flatMap((value, index) =>
        [0, 1].map((copy) => ({
          environment_key: "env",
          feature_name,
          identifier: `${index}-${copy}`,
          value,
          timestamp: NOW - 5 * DAY + (feature_name === "hours" ? 3 * DAY : 0) + index * HOUR,
        })),
      ),
    ),
  );
  const variants = ["10", "2", "unseen"].map((key) => ({ key, weight: 0.5 }));
  const put = (id: string, body: object) =>
    source.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: id, variants, ...body });
  await put("hours", { name: "Hours: \u2603 \u{1f9ea}", started_at: iso(NOW - 2 * DAY) });
  await put("days", { started_at: iso(NOW - 5 * DAY) });
  await put("final", { started_at: iso(NOW - 5 * DAY), ended_at: iso(NOW - DAY) });
  await put("draft", { started_at: iso(NOW + DAY) });
  await until(
    () => Promise.all(["hours", "days", "final"].map(source.exposures)),
    (answers) => answers.every(({ exposures }) => exposures !== null),
  );
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const exported = async (worker: TestWorker) => (await worker.call("GET", "/v1/export")).text;
const importInto = (worker: TestWorker, lines: string) =>
  worker.call("POST", "/v1/import", lines, { "Content-Type": "application/jsonl" });
const linesOf = (text: string) => text.trim().split("\n");
const parsed = async (id: string) => {
  const line = linesOf(await exported(source)).find((each) => JSON.parse(each).id === id) ?? "";
  return JSON.parse(line);
};
/** The answer without what is the time's alone. */
const shown = async (worker: TestWorker, id: string) =>
  (await worker.call("GET", `/v1/experiments/${id}/exposures`)).text.replace(/"refresh_requested_at":[^,]*,/, "");

describe("an export", () => {
  it("has each experiment as one line of JSON, with its numbers as they are served", async () => {
    const answer = await source.call("GET", "/v1/export");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toBe("application/jsonl");
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    const lines = linesOf(answer.text);
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(["days", "draft", "final", "hours"]);
    const { json } = await source.call("GET", "/v1/experiments/final");
    const { status: _, ...definition } = json;
    const { as_of, computed_at, last_error_at, is_final, exposures } = await source.exposures("final");
    expect(JSON.parse(lines[2] ?? "")).toEqual({
      ...definition,
      as_of,
      computed_at,
      last_error_at,
      is_final,
      exposures,
    });
    expect(is_final).toBe(true);
  });

  it("of nothing is empty", async () => {
    const empty = await startWorker(warehouse.settings);
    expect(await exported(empty)).toBe("");
    await empty.stop();
  });
});

describe("an import", () => {
  it("into an empty account gives the same experiments and numbers, byte for byte", async () => {
    const text = await exported(source);
    const answer = await importInto(target, text);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ imported: ["days", "draft", "final", "hours"], skipped: [] });
    expect(await exported(target)).toBe(text);
    for (const id of answer.json.imported) expect(await shown(target, id)).toBe(await shown(source, id));
    const listOf = async (worker: TestWorker) => (await worker.call("GET", "/v1/experiments")).text;
    expect(await listOf(target)).toBe(await listOf(source));
  });

  it("leaves a sweep to go on from there, and final numbers as they are", async () => {
    const before = await shown(target, "final");
    expect(await target.sweep()).toBe(true);
    const [hours, old] = [await target.exposures("hours"), await source.exposures("hours")];
    expect(Date.parse(hours.as_of)).toBeGreaterThan(Date.parse(old.as_of));
    expect(hours.exposures.variants).toEqual(old.exposures.variants);
    expect(await shown(target, "final")).toBe(before);
  });

  it("changes nothing that is there, and says so", async () => {
    const line = { ...(await parsed("hours")), name: "another" };
    const before = await exported(target);
    const answer = await importInto(target, JSON.stringify(line));
    expect(answer.json).toEqual({ imported: [], skipped: [{ experiment_id: "hours", reason: "exists" }] });
    expect(await exported(target)).toBe(before);
  });

  it("brings no second experiment that is open for a feature", async () => {
    const line = { ...(await parsed("hours")), id: "second" };
    const ended = { ...(await parsed("final")), id: "ended" };
    const answer = await importInto(target, [line, ended].map((each) => JSON.stringify(each)).join("\n"));
    expect(answer.json).toEqual({
      imported: ["ended"],
      skipped: [{ experiment_id: "second", reason: "feature_taken" }],
    });
    expect((await target.call("GET", "/v1/experiments/second")).status).toBe(404);
  });

  it("takes a line twice as one, blank lines as none, and lines that end as on Windows", async () => {
    const draft = JSON.stringify({ ...(await parsed("draft")), id: "twice", feature_name: "twice" });
    const answer = await importInto(target, `\r\n${draft}\r\n\r\n${draft}\r\n`);
    expect(answer.json).toEqual({ imported: ["twice"], skipped: [{ experiment_id: "twice", reason: "exists" }] });
  });

  it("never gives out an ETag again that the deleted experiment had", async () => {
    const text = JSON.stringify(await parsed("days"));
    const etagOf = async () => (await source.call("GET", "/v1/experiments/days/exposures")).headers.get("ETag");
    const etags = [await etagOf()];
    for (let again = 0; again < 2; again += 1) {
      await source.call("DELETE", "/v1/experiments/days");
      await importInto(source, text);
      etags.push(await etagOf());
    }
    expect(new Set(etags).size).toBe(3);
  });

  it("takes many lines, in order", async () => {
    const draft = await parsed("draft");
    const ids = Array.from({ length: 250 }, (_, index) => `many-${String(index).padStart(3, "0")}`);
    const lines = ids.map((id) => JSON.stringify({ ...draft, id, feature_name: id }));
    const answer = await importInto(target, lines.join("\n"));
    expect(answer.json).toEqual({ imported: ids, skipped: [] });
    const there = linesOf(await exported(target)).map((line) => JSON.parse(line).id);
    expect(there.filter((id) => id.startsWith("many-"))).toEqual(ids);
  });
});

describe("an import with a mistake", () => {
  const cases: { mistake: string; path: string; of?: string; change: object }[] = [
    { mistake: "a bad id", path: "id", change: { id: "a b" } },
    { mistake: "no environment", path: "environment_key", change: { environment_key: undefined } },
    { mistake: "an end before its start", path: "ended_at", change: { ended_at: iso(NOW - 9 * DAY) } },
    { mistake: "no creation", path: "created_at", change: { created_at: null } },
    { mistake: "an unknown field", path: "status", change: { status: "running" } },
    { mistake: "is_final as text", path: "is_final", change: { is_final: "true" } },
    { mistake: "final numbers of an open experiment", path: "is_final", change: { is_final: true } },
    { mistake: "numbers without a time", path: "exposures", change: { as_of: null } },
    { mistake: "a time without numbers", path: "exposures", change: { exposures: null } },
    { mistake: "a time before the start", path: "exposures", change: { as_of: iso(NOW - 6 * DAY) } },
    { mistake: "numbers of another window", path: "exposures", change: { as_of: iso(NOW - 3 * HOUR) } },
    { mistake: "numbers of a draft", path: "exposures", change: { started_at: null } },
    { mistake: "numbers that are none", path: "exposures", change: { exposures: "many" } },
  ];

  it.each(cases)("is refused as a whole, with the line and the field: $mistake", async ({ path, change }) => {
    const good = { ...(await parsed("draft")), id: "good", feature_name: "good" };
    const bad = { ...(await parsed("hours")), id: "bad", feature_name: "bad", ...change };
    const before = await exported(target);
    const answer = await importInto(target, [good, bad].map((each) => JSON.stringify(each)).join("\n"));
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual([{ path: `2.${path}`, message: expect.stringMatching(/./) }]);
    expect(await exported(target)).toBe(before);
  });

  it.each(["{", "[]", "1", "null", '"text"', "{} {}"])("is refused where a line is %s", async (line) => {
    const answer = await importInto(target, `\n${line}\n`);
    expect(answer.status).toBe(400);
    for (const { path } of answer.json.errors) expect(path).toMatch(/^2(\.|$)/);
  });

  it("is told apart from one that is too long", async () => {
    const many = await importInto(target, "{}\n".repeat(501));
    expect(many.status).toBe(400);
    expect(many.json.errors).toEqual([{ path: "", message: expect.stringMatching(/500 lines/) }]);
    expect((await importInto(target, " ".repeat(8 * 1024 * 1024 + 1))).status).toBe(413);
  });

  it("is refused if a line is more than a row of the database can hold", async () => {
    const line = JSON.stringify({ ...(await parsed("draft")), id: "wide", name: "w".repeat(2_000_000) });
    const answer = await importInto(target, `\n${line}`);
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual([{ path: "2", message: expect.stringMatching(/2,000,000 bytes/) }]);
    expect((await target.call("GET", "/v1/experiments/wide")).status).toBe(404);
  });

  it("names no more lines than anyone reads", async () => {
    expect((await importInto(target, "{\n".repeat(300))).json.errors).toHaveLength(100);
  });

  it("is refused if it does not say that it is JSON Lines", async () => {
    const other = await target.call("POST", "/v1/import", "", { "Content-Type": "application/json" });
    expect(other.status).toBe(415);
    expect(other.json.detail).toContain("application/jsonl");
  });
});
