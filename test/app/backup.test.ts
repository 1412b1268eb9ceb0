import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.now();
const iso = (time: number) => new Date(time).toISOString();
/** Variant keys that JSON.parse reorders, or that break careless code. */
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
    (responses) => responses.every(({ exposures }) => exposures !== null),
  );
});
afterAll(() => Promise.all([source.stop(), target.stop()]));

const exportFrom = async (worker: TestWorker) => (await worker.call("GET", "/v1/export")).text;
const importInto = (worker: TestWorker, lines: string, query = "") =>
  worker.call("POST", `/v1/import${query}`, lines, { "Content-Type": "application/jsonl" });
const linesOf = (text: string) => text.trim().split("\n");
const exportedExperiment = async (id: string) => {
  const line = linesOf(await exportFrom(source)).find((each) => JSON.parse(each).id === id) ?? "";
  return JSON.parse(line);
};
/** The response without refresh_requested_at, which an export does not contain. */
const exposuresText = async (worker: TestWorker, id: string) =>
  (await worker.call("GET", `/v1/experiments/${id}/exposures`)).text.replace(/"refresh_requested_at":[^,]*,/, "");

describe("GET /v1/export", () => {
  it("returns one line of JSON per experiment, with its exposures as they are served", async () => {
    const response = await source.call("GET", "/v1/export");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("application/jsonl");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const lines = linesOf(response.text);
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(["days", "draft", "final", "hours"]);
    const { json } = await source.call("GET", "/v1/experiments/final");
    const { status: _, ...definition } = json;
    const { as_of, computed_at, last_error_at, is_final, exposures } = await source.exposures("final");
    expect(JSON.parse(lines[2] ?? "")).toEqual({
      format: 1,
      ...definition,
      as_of,
      computed_at,
      last_error_at,
      is_final,
      exposures,
      results: null,
    });
    expect(is_final).toBe(true);
  });

  it("is empty without experiments", async () => {
    const empty = await startWorker(warehouse.settings);
    expect(await exportFrom(empty)).toBe("");
    await empty.stop();
  });
});

describe("POST /v1/import", () => {
  it("restores experiments and exposures byte for byte", async () => {
    const text = await exportFrom(source);
    const response = await importInto(target, text);
    expect(response.status).toBe(200);
    expect(response.json).toEqual({ imported: ["days", "draft", "final", "hours"], skipped: [] });
    expect(await exportFrom(target)).toBe(text);
    for (const id of response.json.imported)
      expect(await exposuresText(target, id)).toBe(await exposuresText(source, id));
    const listOf = async (worker: TestWorker) => (await worker.call("GET", "/v1/experiments")).text;
    expect(await listOf(target)).toBe(await listOf(source));
  });

  it("lets the next sweep refresh running experiments, and keeps final exposures", async () => {
    const before = await exposuresText(target, "final");
    expect(await target.sweep()).toBe(true);
    const [hours, old] = [await target.exposures("hours"), await source.exposures("hours")];
    expect(Date.parse(hours.as_of)).toBeGreaterThan(Date.parse(old.as_of));
    expect(hours.exposures.variants).toEqual(old.exposures.variants);
    expect(await exposuresText(target, "final")).toBe(before);
  });

  it("skips an experiment that exists", async () => {
    const line = { ...(await exportedExperiment("hours")), name: "another" };
    const before = await exportFrom(target);
    const response = await importInto(target, JSON.stringify(line));
    expect(response.json).toEqual({ imported: [], skipped: [{ experiment_id: "hours", reason: "exists" }] });
    expect(await exportFrom(target)).toBe(before);
  });

  it("skips an experiment whose window overlaps that of another one of its feature", async () => {
    const line = { ...(await exportedExperiment("hours")), id: "second" };
    const ended = { ...(await exportedExperiment("final")), id: "ended" };
    const response = await importInto(target, [line, ended].map((each) => JSON.stringify(each)).join("\n"));
    expect(response.json).toEqual({
      imported: ["ended"],
      skipped: [{ experiment_id: "second", reason: "feature_taken" }],
    });
    expect((await target.call("GET", "/v1/experiments/second")).status).toBe(404);
  });

  it("skips a repeated line, ignores blank lines, and accepts CRLF", async () => {
    const draft = JSON.stringify({ ...(await exportedExperiment("draft")), id: "twice", feature_name: "twice" });
    const response = await importInto(target, `\r\n${draft}\r\n\r\n${draft}\r\n`);
    expect(response.json).toEqual({ imported: ["twice"], skipped: [{ experiment_id: "twice", reason: "exists" }] });
  });

  it("accepts lines without a format, with fewer checks and with unknown ones", async () => {
    const { format: _, ...line } = { ...(await exportedExperiment("final")), id: "another-version" };
    const another = { name: "of_tomorrow", status: "unhealthy", detail: "It is off.", causes: [{ value: "ios" }] };
    const { exposures } = line;
    const health = { status: "unhealthy", checks: [...exposures.health.checks.slice(0, 3), another] };
    const text = JSON.stringify({ ...line, exposures: { ...exposures, health } });
    expect((await importInto(target, text)).json).toEqual({ imported: ["another-version"], skipped: [] });
    expect((await target.exposures("another-version")).exposures).toEqual({ ...exposures, health });
  });

  it("imports the good lines and names the bad ones with on_error=skip", async () => {
    const good = { ...(await exportedExperiment("draft")), id: "good-line", feature_name: "good-line" };
    const later = { ...good, id: "later-format", format: 2, started_at: "soon" };
    const text = ["{", JSON.stringify(later), JSON.stringify(good)].join("\n");
    expect((await importInto(target, text)).status).toBe(400);
    expect((await target.call("GET", "/v1/experiments/good-line")).status).toBe(404);
    const response = await importInto(target, text, "?on_error=skip");
    expect(response).toMatchObject({ status: 200, json: { imported: ["good-line"], skipped: [] } });
    expect(response.json.errors).toEqual([
      { path: "1", message: "must be one JSON object" },
      { path: "2.format", message: expect.stringMatching(/must be 1/) },
    ]);
    expect((await importInto(target, text, "?on_error=ignore")).status).toBe(400);
  });

  it("never reuses the ETag of a deleted experiment", async () => {
    const text = JSON.stringify(await exportedExperiment("days"));
    const etagOf = async () => (await source.call("GET", "/v1/experiments/days/exposures")).headers.get("ETag");
    const etags = [await etagOf()];
    for (let round = 0; round < 2; round += 1) {
      await source.call("DELETE", "/v1/experiments/days");
      await importInto(source, text);
      etags.push(await etagOf());
    }
    expect(new Set(etags).size).toBe(3);
  });

  it("imports many lines in order", async () => {
    const draft = await exportedExperiment("draft");
    const ids = Array.from({ length: 250 }, (_, index) => `many-${String(index).padStart(3, "0")}`);
    const lines = ids.map((id) => JSON.stringify({ ...draft, id, feature_name: id }));
    const response = await importInto(target, lines.join("\n"));
    expect(response.json).toEqual({ imported: ids, skipped: [] });
    const exportedIds = linesOf(await exportFrom(target)).map((line) => JSON.parse(line).id);
    expect(exportedIds.filter((id) => id.startsWith("many-"))).toEqual(ids);
  });
});

describe("POST /v1/import with invalid input", () => {
  const cases: { problem: string; path: string; change: object }[] = [
    { problem: "an invalid id", path: "id", change: { id: "a b" } },
    { problem: "a missing environment", path: "environment_key", change: { environment_key: undefined } },
    { problem: "an end before the start", path: "ended_at", change: { ended_at: iso(NOW - 9 * DAY) } },
    { problem: "a missing creation time", path: "created_at", change: { created_at: null } },
    { problem: "an unknown field", path: "status", change: { status: "running" } },
    { problem: "is_final as text", path: "is_final", change: { is_final: "true" } },
    { problem: "final exposures of an open experiment", path: "is_final", change: { is_final: true } },
    { problem: "numbers of next year", path: "as_of", change: { as_of: iso(NOW + 365 * DAY) } },
    { problem: "exposures without as_of", path: "exposures", change: { as_of: null } },
    { problem: "as_of without exposures", path: "exposures", change: { exposures: null } },
    { problem: "as_of before the start", path: "exposures", change: { as_of: iso(NOW - 6 * DAY) } },
    { problem: "exposures of another window", path: "exposures", change: { as_of: iso(NOW - 3 * HOUR) } },
    { problem: "exposures of a draft", path: "exposures", change: { started_at: null } },
    { problem: "exposures as text", path: "exposures", change: { exposures: "many" } },
  ];

  it.each(cases)("imports nothing and reports the line and the field: $problem", async ({ path, change }) => {
    const good = { ...(await exportedExperiment("draft")), id: "good", feature_name: "good" };
    const bad = { ...(await exportedExperiment("hours")), id: "bad", feature_name: "bad", ...change };
    const before = await exportFrom(target);
    const response = await importInto(target, [good, bad].map((each) => JSON.stringify(each)).join("\n"));
    expect(response.status).toBe(400);
    expect(response.json.errors).toEqual([{ path: `2.${path}`, message: expect.stringMatching(/./) }]);
    expect(await exportFrom(target)).toBe(before);
  });

  it.each(["{", "[]", "1", "null", '"text"', "{} {}"])("reports the line %s", async (line) => {
    const response = await importInto(target, `\n${line}\n`);
    expect(response.status).toBe(400);
    for (const { path } of response.json.errors) expect(path).toMatch(/^2(\.|$)/);
  });

  it("reports a line that is nested too deep", async () => {
    const line = { ...(await exportedExperiment("hours")), id: "deep", feature_name: "deep" };
    line.exposures.health.checks[0].odd = "DEEP";
    const deep = JSON.stringify(line).replace('"DEEP"', `${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    const errors = [{ path: "1", message: expect.stringMatching(/100 levels/) }];
    expect(await importInto(target, deep)).toMatchObject({ status: 400, json: { errors } });
    expect(await importInto(target, deep, "?on_error=skip")).toMatchObject({ status: 200, json: { errors } });
  });

  it("answers 400 to too many lines", async () => {
    const many = await importInto(target, "{}\n".repeat(501));
    expect(many.status).toBe(400);
    expect(many.json.errors).toEqual([{ path: "", message: expect.stringMatching(/500 lines/) }]);
  });

  it("answers 413 to too many bytes", async () => {
    const { status } = await importInto(target, "x".repeat(8 * 1024 * 1024 + 1));
    expect(status).toBe(413);
  });

  it("rejects a line that is too long for a database row", async () => {
    const line = JSON.stringify({ ...(await exportedExperiment("draft")), id: "wide", name: "w".repeat(2_000_000) });
    const response = await importInto(target, `\n${line}`);
    expect(response.status).toBe(400);
    expect(response.json.errors).toEqual([{ path: "2", message: expect.stringMatching(/2,000,000 bytes/) }]);
    expect((await target.call("GET", "/v1/experiments/wide")).status).toBe(404);
  });

  it("reports at most 100 errors", async () => {
    expect((await importInto(target, "{\n".repeat(300))).json.errors).toHaveLength(100);
  });

  it("answers 415 to another type than JSON Lines", async () => {
    const other = await target.call("POST", "/v1/import", "", { "Content-Type": "application/json" });
    expect(other.status).toBe(415);
    expect(other.json.detail).toContain("application/jsonl");
  });
});
