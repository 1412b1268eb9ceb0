import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker } from "../support/worker.ts";

let worker: TestWorker;
beforeAll(async () => {
  const warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

type ApiResponse = Awaited<ReturnType<TestWorker["call"]>>;
type Body = { environment_key: string; feature_name: string; [key: string]: unknown };

const pathOf = (id: string) => `/v1/experiments/${encodeURIComponent(id)}`;
const put = (id: string, body: unknown) => worker.call("PUT", pathOf(id), body);
const get = (id: string) => worker.call("GET", pathOf(id));

let count = 0;
/** Returns an id and a body that no other test uses. */
function newExperiment(more: Record<string, unknown> = {}): { id: string; body: Body } {
  count += 1;
  return { id: `experiment-${count}`, body: { environment_key: "env", feature_name: `feature-${count}`, ...more } };
}

/** Expects an RFC 9457 problem: `errors` only with a 400, and no internals such as SQL or a stack trace. */
function expectProblem(response: ApiResponse, status: number) {
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json\b/);
  const { type, errors, ...rest } = response.json;
  expect(URL.canParse(type)).toBe(true);
  expect(rest).toEqual({ status, title: expect.stringMatching(/\w/), detail: expect.stringMatching(/\w/) });
  if (status === 400) expect(errors).not.toHaveLength(0);
  else expect(errors).toBeUndefined();
  for (const error of errors ?? []) expect(error).toEqual({ path: expect.any(String), message: expect.any(String) });
  expect(response.text).not.toMatch(/SELECT|INSERT|SQLITE|\.ts:\d|\n +at /);
}

/** The distinct paths in the errors of a 400 response. */
function pathsOf(response: ApiResponse): string[] {
  expectProblem(response, 400);
  return [...new Set<string>(response.json.errors.map(({ path }: { path: string }) => path))];
}

describe("PUT /v1/experiments/{id}", () => {
  it("creates an experiment and returns it in full with 201", async () => {
    const { id, body } = newExperiment({
      name: "Checkout CTA",
      variants: [
        { key: "control", weight: 50 },
        { key: "treatment", weight: 0.5 },
        { key: "off", weight: 0 },
      ],
      started_at: "2026-06-01T00:00:00Z",
      ended_at: "2026-06-01T00:00:00.001Z",
    });
    const before = Date.now();
    const response = await put(id, body);
    expect(response.status).toBe(201);
    expect(response.json).toEqual({
      id,
      ...body,
      metrics: [],
      started_at: "2026-06-01T00:00:00.000Z",
      weights_changed_at: null,
      status: "completed",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: response.json.created_at,
    });
    const createdAt = Date.parse(response.json.created_at);
    expect(createdAt).toBeGreaterThanOrEqual(before - 50);
    expect(createdAt).toBeLessThanOrEqual(Date.now() + 50);
    expect((await get(id)).json).toEqual(response.json);
  });

  it("defaults the name to the id, the variants to none and the times to null", async () => {
    const { id, body } = newExperiment();
    expect((await put(id, body)).json).toMatchObject({ name: id, variants: [], started_at: null, ended_at: null });
  });

  it("replaces an experiment with 200, resets other omitted fields than times and keeps created_at", async () => {
    const { id, body } = newExperiment();
    const named = { ...body, name: "Named", variants: [{ key: "a", weight: 1 }], started_at: fromNow(-HOUR) };
    const created = await put(id, named);
    expect(pathsOf(await put(id, body))).toEqual(["started_at"]);
    expect((await get(id)).json).toEqual(created.json);
    const replaced = await put(id, { ...body, started_at: null });
    expect(replaced.status).toBe(200);
    expect(replaced.json).toEqual({
      ...created.json,
      name: id,
      variants: [],
      started_at: null,
      status: "draft",
      updated_at: expect.any(String),
    });
    expect(Date.parse(replaced.json.updated_at)).toBeGreaterThanOrEqual(Date.parse(created.json.updated_at));
    expect((await get(id)).json).toEqual(replaced.json);
  });

  it("returns the same experiment, except for updated_at, when the body is sent again", async () => {
    const { id, body } = newExperiment({ started_at: fromNow(-HOUR), variants: [{ key: "a", weight: 1 }] });
    const first = await put(id, body);
    const second = await put(id, body);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.json).toEqual({ ...first.json, updated_at: expect.any(String) });
  });

  it("returns 201 to one of several concurrent requests with the same id and 200 to the others", async () => {
    const { id, body } = newExperiment({ started_at: fromNow(-HOUR) });
    const responses = await Promise.all(Array.from({ length: 4 }, () => put(id, body)));
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect(new Set(responses.map(({ json }) => json.created_at)).size).toBe(1);
  });

  it("accepts null for both times", async () => {
    const { id, body } = newExperiment({ started_at: null, ended_at: null });
    expect((await put(id, body)).status).toBe(201);
  });

  describe("invalid input", () => {
    const valid = { environment_key: "env", feature_name: "never saved" };
    const started = { ...valid, started_at: "2026-06-01T00:00:00.000Z" };
    const variants = (...list: unknown[]) => ({ ...valid, variants: list });
    const signups = { key: "signup", event: "signup", aggregation: "count", expected_direction: "increase" };
    const metrics = (...list: object[]) => ({ ...valid, metrics: list.map((fields) => ({ ...signups, ...fields })) });
    it.each<[description: string, body: unknown, ...paths: string[]]>([
      ["a missing environment_key", { feature_name: "f" }, "environment_key"],
      ["a missing feature_name", { environment_key: "e" }, "feature_name"],
      ["an empty object", {}, "environment_key", "feature_name"],
      ["an empty environment_key", { ...valid, environment_key: "" }, "environment_key"],
      ["an empty feature_name", { ...valid, feature_name: "" }, "feature_name"],
      ["a feature_name that is a number", { ...valid, feature_name: 1 }, "feature_name"],
      ["a name that is null", { ...valid, name: null }, "name"],
      ["an id in the body", { ...valid, id: "x" }, "id"],
      ["a status in the body", { ...valid, status: "running" }, "status"],
      [
        "times in the body that the service sets",
        { ...valid, created_at: null, updated_at: null, weights_changed_at: null },
        "created_at",
        "updated_at",
        "weights_changed_at",
      ],
      ["an unknown key", { ...valid, colour: "red" }, "colour"],
      ["__proto__ as a key", '{"environment_key":"e","feature_name":"f","__proto__":{"name":"x"}}', "__proto__"],
      ["a lone surrogate in the name", { ...valid, name: "half \ud83e" }, "name"],
      ["a lone surrogate in the environment_key", { ...valid, environment_key: "\udd8a" }, "environment_key"],
      ["a lone surrogate in a variant's key", variants({ key: "\ud83e", weight: 1 }), "variants.0.key"],
      ["variants that are not a list", { ...valid, variants: { a: 1 } }, "variants"],
      ["a variant that is a string", variants("a"), "variants.0"],
      ["a variant without a weight", variants({ key: "a" }), "variants.0.weight"],
      ["an empty variant key", variants({ key: "", weight: 1 }), "variants.0.key"],
      ["an unknown key in a variant", variants({ key: "a", weight: 1, name: "A" }), "variants.0.name"],
      ["a negative weight", variants({ key: "a", weight: 1 }, { key: "b", weight: -0.1 }), "variants.1.weight"],
      ["a weight that is a string", variants({ key: "a", weight: "1" }), "variants.0.weight"],
      [
        "an infinite weight",
        '{"environment_key":"e","feature_name":"f","variants":[{"key":"a","weight":1e999}]}',
        "variants.0.weight",
      ],
      ["a duplicate variant key", variants({ key: "a", weight: 1 }, { key: "a", weight: 2 }), "variants.1.key"],
      [
        "an unknown aggregation, exposures as event and an unknown key in metrics",
        metrics({ aggregation: "median" }, { event: "$flag_exposure" }, { key: "b", goal: true }),
        ...["metrics.0.aggregation", "metrics.1.event", "metrics.2.goal"],
      ],
      ["a duplicate metric key", metrics({}, { event: "another" }), "metrics.1.key"],
      ["21 metrics", metrics(...Array.from({ length: 21 }, (_, index) => ({ key: `m${index}` }))), "metrics"],
      [
        "windows out of range",
        metrics(
          { conversion_window_hours: 0 },
          { key: "b", conversion_window_hours: 8761 },
          { key: "c", lookback_days: 91 },
        ),
        ...["metrics.0.conversion_window_hours", "metrics.1.conversion_window_hours", "metrics.2.lookback_days"],
      ],
      ["an ended_at without started_at", { ...valid, ended_at: "2026-06-02T00:00:00.000Z" }, "ended_at"],
      ["an ended_at before started_at", { ...started, ended_at: "2026-05-31T00:00:00.000Z" }, "ended_at"],
      ["an ended_at equal to started_at", { ...started, ended_at: "2026-06-01T00:00:00.000Z" }, "ended_at"],
      ["a time with an offset", { ...valid, started_at: "2026-06-01T02:00:00.000+02:00" }, "started_at"],
      ["a time without a zone", { ...valid, started_at: "2026-06-01T00:00:00.000" }, "started_at"],
      ["a date without a time", { ...valid, started_at: "2026-06-01" }, "started_at"],
      ["a day that does not exist", { ...valid, started_at: "2026-02-29T00:00:00.000Z" }, "started_at"],
      ["a time more precise than milliseconds", { ...valid, started_at: "2026-06-01T00:00:00.0001Z" }, "started_at"],
      ["a time as epoch milliseconds", { ...valid, started_at: 1_780_272_000_000 }, "started_at"],
      ["an empty time", { ...started, ended_at: "" }, "ended_at"],
      ["a list", [valid], ""],
      ["null", "null", ""],
      ["a string", '"body"', ""],
      ["deeply nested lists", "[".repeat(30_000) + "]".repeat(30_000), ""],
    ])("returns 400 with the path of the error for %s", async (_, body, ...paths) => {
      const { id } = newExperiment();
      expect(pathsOf(await put(id, body)).sort()).toEqual(paths.sort());
      expect((await get(id)).status).toBe(404);
    });

    it.each([
      ["truncated", '{"environment_key": "e"'],
      ["empty", ""],
      ["two values", "{} {}"],
      ["single quotes", "{'environment_key':'e'}"],
    ])("returns 400 for JSON that does not parse: %s", async (_, body) => {
      const { id } = newExperiment();
      expectProblem(await worker.call("PUT", pathOf(id), body, { "Content-Type": "application/json" }), 400);
    });

    it("returns 400 for a body that is not UTF-8", async () => {
      const { id } = newExperiment();
      const latin1 = Buffer.from('{"environment_key":"é","feature_name":"f"}', "latin1");
      const response = await worker.fetch(pathOf(id), {
        method: "PUT",
        headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" },
        body: latin1,
      });
      expect(response.status).toBe(400);
      await response.body?.cancel();
    });

    it.each([
      ["65 characters", "a".repeat(65)],
      ["a space", "a b"],
      ["a slash", "a/b"],
      ["a quote", "it's"],
      ["a non-ASCII letter", "é"],
      ["a line break", "a\n"],
      ["NUL", "\0"],
    ])("returns 400 for an id with %s", async (_, id) => {
      expect(pathsOf(await put(id, newExperiment().body))).toEqual(["id"]);
      expectProblem(await get(id), 404);
    });

    it("leaves the stored experiment unchanged", async () => {
      const { id, body } = newExperiment();
      const { json } = await put(id, body);
      expectProblem(await put(id, { ...body, name: "" }), 400);
      expect((await get(id)).json).toEqual(json);
    });
  });

  describe("the limit of one experiment per feature at any time", () => {
    const hour = { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-HOUR) };

    it.each([
      ["a planned experiment", { started_at: fromNow(HOUR) }],
      ["an experiment that has just ended", { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-HOUR / 2) }],
      ["a running experiment", { started_at: fromNow(-HOUR) }],
      ["a running experiment with a planned end", { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) }],
    ])("rejects a second experiment beside %s with 409 and changes nothing", async (_, times) => {
      const open = newExperiment(times);
      const before = await put(open.id, open.body);
      const second = newExperiment({ ...open.body, started_at: fromNow(-HOUR), ended_at: null });
      expectProblem(await put(second.id, second.body), 409);
      expectProblem(await get(second.id), 404);
      expect((await get(open.id)).json).toEqual(before.json);
    });

    it("rejects an edit that moves a second experiment to the feature, and changes nothing", async () => {
      const open = newExperiment({ started_at: fromNow(-2 * HOUR) });
      const other = newExperiment({ name: "Other", started_at: fromNow(-HOUR) });
      await put(open.id, open.body);
      const before = await put(other.id, other.body);
      const { feature_name } = open.body;
      expectProblem(await put(other.id, { ...other.body, feature_name, name: "Moved" }), 409);
      expect((await get(other.id)).json).toEqual(before.json);
    });

    it("rejects reopening an ended experiment beside an open one", async () => {
      const ended = newExperiment(hour);
      const open = newExperiment({ feature_name: ended.body.feature_name, started_at: hour.ended_at });
      await put(ended.id, ended.body);
      expect((await put(open.id, open.body)).status).toBe(201);
      const before = await get(ended.id);
      expectProblem(await put(ended.id, { ...ended.body, ended_at: null }), 409);
      expect((await get(ended.id)).json).toEqual(before.json);
    });

    it("allows a second experiment from the end of the first, and before its start", async () => {
      const first = newExperiment({ started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) });
      const { feature_name } = first.body;
      await put(first.id, first.body);
      const after = newExperiment({ feature_name, started_at: first.body["ended_at"] });
      expect((await put(after.id, after.body)).status).toBe(201);
      const before = newExperiment({
        feature_name,
        started_at: fromNow(-2 * HOUR),
        ended_at: first.body["started_at"],
      });
      expect((await put(before.id, before.body)).status).toBe(201);
    });

    it("allows drafts without a start, which can't start in another window", async () => {
      const first = newExperiment({ started_at: fromNow(-HOUR) });
      const draft = newExperiment({ feature_name: first.body.feature_name });
      await put(first.id, first.body);
      expect((await put(draft.id, draft.body)).status).toBe(201);
      expectProblem(await put(draft.id, { ...draft.body, started_at: fromNow(HOUR) }), 409);
    });

    it("allows a second experiment once the first has ended or been deleted", async () => {
      const first = newExperiment({ started_at: fromNow(-2 * HOUR) });
      await put(first.id, first.body);
      const started_at = hour.ended_at;
      const second = newExperiment({ feature_name: first.body.feature_name, started_at });
      expectProblem(await put(second.id, second.body), 409);
      expect((await put(first.id, { ...first.body, ...hour })).status).toBe(200);
      expect((await put(second.id, second.body)).status).toBe(201);

      const third = newExperiment({ feature_name: first.body.feature_name, started_at });
      expectProblem(await put(third.id, third.body), 409);
      expect((await worker.call("DELETE", pathOf(second.id))).status).toBe(204);
      expect((await put(third.id, third.body)).status).toBe(201);
    });

    it("allows a second experiment in another environment or of another feature", async () => {
      const first = newExperiment({ started_at: fromNow(-HOUR) });
      await put(first.id, first.body);
      for (const change of [{ environment_key: "elsewhere" }, { feature_name: `${first.body.feature_name} ` }]) {
        expect((await put(newExperiment().id, { ...first.body, ...change })).status).toBe(201);
      }
    });

    it("allows edits of the open experiment itself", async () => {
      const { id, body } = newExperiment({ started_at: fromNow(-HOUR) });
      await put(id, body);
      expect((await put(id, { ...body, name: "New name" })).status).toBe(200);
    });

    it("accepts only one of several concurrent requests", async () => {
      const feature = newExperiment({ started_at: fromNow(-HOUR) }).body;
      const responses = await Promise.all(Array.from({ length: 5 }, () => put(newExperiment().id, feature)));
      expect(responses.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
    });
  });

  describe("the body", () => {
    const LIMIT = 64 * 1024;
    /** Returns a new id and a valid body of this many bytes. */
    function bodyOf(bytes: number) {
      const { id, body } = newExperiment();
      const overhead = JSON.stringify({ ...body, name: "" }).length;
      return { id, text: JSON.stringify({ ...body, name: "x".repeat(bytes - overhead) }) };
    }
    const headers = { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" };
    /** Sends the body in chunks, without a Content-Length. */
    const putInChunks = async ({ id, text }: { id: string; text: string }) => {
      const body = new Blob([text]).stream();
      const response = await worker.fetch(pathOf(id), { method: "PUT", headers, body, duplex: "half" });
      const responseText = await response.text();
      return { status: response.status, headers: response.headers, text: responseText, json: JSON.parse(responseText) };
    };

    it("is accepted up to 64 KiB, with or without a Content-Length", async () => {
      const declared = bodyOf(LIMIT);
      expect((await put(declared.id, declared.text)).status).toBe(201);
      expect((await putInChunks(bodyOf(LIMIT))).status).toBe(201);
    });

    it("is rejected with 413 above 64 KiB, with or without a Content-Length", async () => {
      const declared = bodyOf(LIMIT + 1);
      expectProblem(await put(declared.id, declared.text), 413);
      expectProblem(await get(declared.id), 404);
      const chunked = bodyOf(LIMIT + 1);
      expectProblem(await putInChunks(chunked), 413);
      expectProblem(await get(chunked.id), 404);
    });

    it.each(["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])(
      "is accepted as %s",
      async (type) => {
        const { id, body } = newExperiment();
        expect((await worker.call("PUT", pathOf(id), body, { "Content-Type": type })).status).toBe(201);
      },
    );

    it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""])(
      "is rejected with 415 as '%s'",
      async (type) => {
        const { id, body } = newExperiment();
        expectProblem(await worker.call("PUT", pathOf(id), body, { "Content-Type": type }), 415);
        expectProblem(await get(id), 404);
      },
    );
  });

  it("returns 401 or 403 without the right to write, and changes nothing", async () => {
    const { id, body } = newExperiment();
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: "" }), 401);
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: "Bearer wrong" }), 401);
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: `Bearer ${READER}` }), 403);
    expectProblem(await get(id), 404);
  });
});

describe("a stored experiment", () => {
  it.each([
    ["__proto__"],
    ["constructor"],
    ["..."],
    ["-"],
    ["_"],
    ["0"],
    ["null"],
    ["exposures"],
    ["a".repeat(64)],
    ["AZaz09._-"],
  ])("may have the id %s", async (id) => {
    const { body } = newExperiment();
    expect((await put(id, body)).json).toMatchObject({ id, name: id });
    expect((await get(id)).json).toMatchObject({ id, name: id });
    expect((await worker.call("GET", `${pathOf(id)}/exposures`)).json).toMatchObject({ experiment_id: id });
    expect((await worker.call("DELETE", pathOf(id))).status).toBe(204);
    expectProblem(await get(id), 404);
  });

  it("has a case-sensitive id", async () => {
    const { body } = newExperiment();
    await put("Case", body);
    expectProblem(await get("case"), 404);
  });

  it.each([
    ["__proto__", "__proto__"],
    ["quotes", `it's "quoted" \`so\``],
    ["SQL", "'; DROP TABLE experiments; --"],
    ["LIKE's wildcards", "100%_"],
    ["200 characters", "x".repeat(200)],
    ["right-to-left text with an override", "שלום \u202eabc"],
    ["characters beyond the BMP", "🧪👩‍🔬"],
    ["decomposed characters", "e\u0301"],
    ["control characters", "tab\tline\nreturn\rbell\x07end"],
    ["backslashes and braces", "\\' {x: String} ?1"],
    ["surrounding spaces", " a "],
    ["markup", "<script>alert(1)</script>&amp;"],
  ])("keeps %s unchanged in every text field", async (_, text) => {
    const { id } = newExperiment();
    const body = {
      name: text,
      environment_key: text,
      feature_name: text,
      variants: [
        { key: text, weight: 1 },
        { key: `${text}2`, weight: 2 },
      ],
    };
    expect((await put(id, body)).json).toMatchObject(body);
    const { json } = await get(id);
    expect(json).toMatchObject(body);
    const list = await worker.call("GET", `/v1/experiments?environment_key=${encodeURIComponent(text)}`);
    expect(list.json).toEqual({ experiments: [json], next_cursor: null });
  });
});

describe("a NUL character", () => {
  const body = { environment_key: "nul", feature_name: "nul" };

  it.each(["name", "environment_key", "feature_name"])("is rejected in %s", async (path) => {
    const response = await put(newExperiment().id, { ...body, [path]: "a\0b" });
    expect(response.json).toMatchObject({
      status: 400,
      errors: [{ path, message: "must not contain a NUL character" }],
    });
  });

  it("is kept in a variant's key", async () => {
    const variants = [{ key: "a\0b", weight: 1 }];
    expect((await put(newExperiment().id, { ...body, variants })).json.variants).toEqual(variants);
  });
});

describe("the status of an experiment", () => {
  it.each([
    ["draft", "has no start", {}],
    ["draft", "starts in the future", { started_at: fromNow(HOUR), ended_at: fromNow(2 * HOUR) }],
    ["running", "has started", { started_at: fromNow(-HOUR) }],
    ["running", "has started and not ended yet", { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) }],
    ["completed", "has ended", { started_at: fromNow(-HOUR), ended_at: fromNow(-1) }],
  ])("is %s if the experiment %s", async (status, _, times) => {
    const { id, body } = newExperiment(times);
    expect((await put(id, body)).json.status).toBe(status);
    expect((await get(id)).json.status).toBe(status);
    expect((await worker.call("GET", `${pathOf(id)}/exposures`)).json.status).toBe(status);
  });
});

describe("GET and DELETE /v1/experiments/{id}", () => {
  it("deletes an experiment once, with 204 and no body", async () => {
    const { id, body } = newExperiment();
    await put(id, body);
    const deleted = await worker.call("DELETE", pathOf(id));
    expect(deleted).toMatchObject({ status: 204, text: "" });
    expectProblem(await worker.call("DELETE", pathOf(id)), 404);
    expectProblem(await get(id), 404);
    expectProblem(await worker.call("GET", `${pathOf(id)}/exposures`), 404);
    expect((await put(id, body)).status).toBe(201);
  });

  it("returns 204 to one of several concurrent deletes and 404 to the others", async () => {
    const { id, body } = newExperiment();
    await put(id, body);
    const responses = await Promise.all(Array.from({ length: 4 }, () => worker.call("DELETE", pathOf(id))));
    expect(responses.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
  });

  it.each(["nothing-here", "it's", "' OR '1'='1", "%00", "%", "a%2Fb", "a".repeat(65)])(
    "returns 404 for the unknown id %s",
    async (id) => {
      await put("existing", { environment_key: "env", feature_name: "existing" });
      expectProblem(await get(id), 404);
      expectProblem(await worker.call("DELETE", pathOf(id)), 404);
      expect((await get("existing")).status).toBe(200);
    },
  );

  it("returns 404 for invalid percent-encoding", async () => {
    expectProblem(await worker.call("GET", "/v1/experiments/%ff"), 404);
    expectProblem(await worker.call("DELETE", "/v1/experiments/%zz"), 404);
  });
});

describe("GET /v1/experiments", () => {
  const list = (query: Record<string, string>) => worker.call("GET", `/v1/experiments?${new URLSearchParams(query)}`);
  const idsOf = ({ json }: ApiResponse): string[] => json.experiments.map(({ id }: { id: string }) => id);

  /** Follows the cursors to the end, and runs `between` after each page. */
  async function listPages(query: Record<string, string>, between?: (page: number) => Promise<unknown>) {
    const found: string[][] = [];
    for (let cursor: string | null = ""; cursor !== null && found.length < 50; ) {
      const response: ApiResponse = await list(cursor === "" ? query : { ...query, cursor });
      expect(response.status).toBe(200);
      found.push(idsOf(response));
      cursor = response.json.next_cursor;
      await between?.(found.length);
    }
    return found;
  }

  describe("with experiments in every status", () => {
    const listed = [
      { id: "list-a", status: "draft", times: {} },
      { id: "list-b", status: "draft", times: { started_at: fromNow(HOUR) } },
      { id: "list-c", status: "running", times: { started_at: fromNow(-HOUR) } },
      { id: "list-d", status: "running", times: { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) } },
      { id: "list-e", status: "completed", times: { started_at: fromNow(-HOUR), ended_at: fromNow(-1) } },
      { id: "list-f", status: "draft", times: {} },
      { id: "list-g", status: "running", times: { started_at: fromNow(-HOUR) } },
    ].map((experiment, index) => ({ ...experiment, environment: index < 5 ? "list-1" : "list-2" }));

    beforeAll(async () => {
      for (const { id, environment, times } of listed) {
        await put(id, { environment_key: environment, feature_name: id, ...times });
      }
    });

    it.each([
      [{ environment_key: "list-1" }, ["list-a", "list-b", "list-c", "list-d", "list-e"]],
      [{ environment_key: "list-2" }, ["list-f", "list-g"]],
      [{ environment_key: "list-1", status: "draft" }, ["list-a", "list-b"]],
      [{ environment_key: "list-1", status: "running" }, ["list-c", "list-d"]],
      [{ environment_key: "list-1", status: "completed" }, ["list-e"]],
      [{ environment_key: "list-2", status: "completed" }, []],
      [{ environment_key: "list-" }, []],
      [{ environment_key: "LIST-1" }, []],
      [{ environment_key: "list-1' OR '1'='1" }, []],
    ])("returns the matches of %j in order of id", async (query, ids) => {
      const response = await list(query);
      expect(idsOf(response)).toEqual(ids);
      expect(response.json.next_cursor).toBeNull();
    });

    it("filters by status across environments", async () => {
      for (const status of ["draft", "running", "completed"]) {
        const found = (await listPages({ status, limit: "200" })).flat().filter((id) => id.startsWith("list-"));
        expect(found).toEqual(listed.filter((experiment) => experiment.status === status).map(({ id }) => id));
      }
    });

    it("returns each experiment as GET by id does", async () => {
      const { experiments } = (await list({ environment_key: "list-1" })).json;
      expect(experiments).toEqual(
        await Promise.all(experiments.map(async ({ id }: { id: string }) => (await get(id)).json)),
      );
    });

    it("returns all experiments in pages of 50 by default", async () => {
      const all = await listPages({});
      expect(all.slice(0, -1).every((page) => page.length === 50)).toBe(true);
      expect(all.flat()).toEqual(expect.arrayContaining(listed.map(({ id }) => id)));
    });
  });

  it.each([1, 2, 3, 6, 7, 8, 200])("returns each experiment exactly once and in order with limit=%i", async (limit) => {
    const ids = ["A", "B", "_", "a", "a.b", "a0", "b"].map((end) => `page-${end}`);
    for (const id of ids.toReversed()) await put(id, { environment_key: "pages", feature_name: id });
    const found = await listPages({ environment_key: "pages", limit: String(limit) });
    expect(found.flat()).toEqual(ids);
    expect(found.map((page) => page.length)).toEqual(
      Array.from({ length: Math.ceil(7 / limit) }, (_, page) => Math.min(limit, 7 - page * limit)),
    );
  });

  it("neither misses nor repeats an experiment while others are created and deleted between pages", async () => {
    const environment_key = "moving pages";
    const add = (id: string) => put(id, { environment_key, feature_name: id });
    for (const id of ["move-2", "move-4", "move-6", "move-8"]) await add(id);
    const found = await listPages({ environment_key, limit: "2" }, async (page) => {
      if (page > 1) return;
      await worker.call("DELETE", pathOf("move-4"));
      await add("move-1");
      await add("move-7");
    });
    expect(found.flat()).toEqual(["move-2", "move-4", "move-6", "move-7", "move-8"]);
  });

  it("fills each page after filtering", async () => {
    const environment_key = "filtered pages";
    for (let index = 0; index < 6; index += 1) {
      const times = index % 2 === 0 ? { started_at: fromNow(-HOUR) } : {};
      await put(`filter-${index}`, { environment_key, feature_name: `${index}`, ...times });
    }
    const found = await listPages({ environment_key, status: "running", limit: "2" });
    expect(found).toEqual([["filter-0", "filter-2"], ["filter-4"]]);
  });

  it("returns an empty list for an unknown environment", async () => {
    expect((await list({ environment_key: "unknown" })).json).toEqual({ experiments: [], next_cursor: null });
  });

  it.each([
    { limit: "0" },
    { limit: "201" },
    { limit: "-1" },
    { limit: "1.5" },
    { limit: "ten" },
    { limit: "" },
    { limit: "1e1" },
    { limit: "99999999999999999999" },
    { status: "done" },
    { status: "" },
    { status: "DRAFT" },
    { cursor: "a b" },
    { cursor: "'; DROP TABLE experiments; --" },
    { cursor: "a".repeat(65) },
    { page: "2" },
  ])("returns 400 with the path of the error for %j", async (query) => {
    expect(pathsOf(await list(query))).toEqual(Object.keys(query));
  });
});
