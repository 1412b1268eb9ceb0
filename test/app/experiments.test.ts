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

type Answer = Awaited<ReturnType<TestWorker["call"]>>;
type Body = { environment_key: string; feature_name: string; [key: string]: unknown };

const pathOf = (id: string) => `/v1/experiments/${encodeURIComponent(id)}`;
const put = (id: string, body: unknown) => worker.call("PUT", pathOf(id), body);
const get = (id: string) => worker.call("GET", pathOf(id));

let made = 0;
/** An id and a body that no other test uses. */
function fresh(more: Record<string, unknown> = {}): { id: string; body: Body } {
  made += 1;
  return { id: `experiment-${made}`, body: { environment_key: "env", feature_name: `feature-${made}`, ...more } };
}

/** RFC 9457, with errors for bad input and for nothing else, and nothing that is nobody's business. */
function expectProblem(answer: Answer, status: number) {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json\b/);
  const { type, errors, ...rest } = answer.json;
  expect(URL.canParse(type)).toBe(true);
  expect(rest).toEqual({ status, title: expect.stringMatching(/\w/), detail: expect.stringMatching(/\w/) });
  if (status === 400) expect(errors).not.toHaveLength(0);
  else expect(errors).toBeUndefined();
  for (const error of errors ?? []) expect(error).toEqual({ path: expect.any(String), message: expect.any(String) });
  expect(answer.text).not.toMatch(/SELECT|INSERT|SQLITE|\.ts:\d|\n +at /);
}

/** The paths that a 400 complains about, each once. */
function pathsOf(answer: Answer): string[] {
  expectProblem(answer, 400);
  return [...new Set<string>(answer.json.errors.map(({ path }: { path: string }) => path))];
}

describe("PUT /v1/experiments/{id}", () => {
  it("creates with 201 and answers the whole experiment", async () => {
    const { id, body } = fresh({
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
    const answer = await put(id, body);
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({
      id,
      ...body,
      started_at: "2026-06-01T00:00:00.000Z",
      status: "completed",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: answer.json.created_at,
    });
    const createdAt = Date.parse(answer.json.created_at);
    expect(createdAt).toBeGreaterThanOrEqual(before - 50);
    expect(createdAt).toBeLessThanOrEqual(Date.now() + 50);
    expect((await get(id)).json).toEqual(answer.json);
  });

  it("takes the id for a missing name, no variants and no times as defaults", async () => {
    const { id, body } = fresh();
    expect((await put(id, body)).json).toMatchObject({ name: id, variants: [], started_at: null, ended_at: null });
  });

  it("replaces with 200: what is left out goes back to its default, created_at stays", async () => {
    const { id, body } = fresh();
    const named = { ...body, name: "Named", variants: [{ key: "a", weight: 1 }], started_at: fromNow(-HOUR) };
    const created = await put(id, named);
    const replaced = await put(id, body);
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

  it("gives the same answer when the same body is sent again, but for updated_at", async () => {
    const { id, body } = fresh({ started_at: fromNow(-HOUR), variants: [{ key: "a", weight: 1 }] });
    const first = await put(id, body);
    const second = await put(id, body);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.json).toEqual({ ...first.json, updated_at: expect.any(String) });
  });

  it("answers 201 to one and 200 to the others when the same id comes many times at once", async () => {
    const { id, body } = fresh({ started_at: fromNow(-HOUR) });
    const answers = await Promise.all(Array.from({ length: 4 }, () => put(id, body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect(new Set(answers.map(({ json }) => json.created_at)).size).toBe(1);
  });

  it("accepts null for both times", async () => {
    const { id, body } = fresh({ started_at: null, ended_at: null });
    expect((await put(id, body)).status).toBe(201);
  });

  describe("refuses with 400, and says where", () => {
    const valid = { environment_key: "env", feature_name: "never saved" };
    const started = { ...valid, started_at: "2026-06-01T00:00:00.000Z" };
    const variants = (...list: unknown[]) => ({ ...valid, variants: list });
    it.each<[what: string, body: unknown, ...paths: string[]]>([
      ["a missing environment_key", { feature_name: "f" }, "environment_key"],
      ["a missing feature_name", { environment_key: "e" }, "feature_name"],
      ["an empty object, both at once", {}, "environment_key", "feature_name"],
      ["an empty environment_key", { ...valid, environment_key: "" }, "environment_key"],
      ["an empty feature_name", { ...valid, feature_name: "" }, "feature_name"],
      ["a feature_name that is a number", { ...valid, feature_name: 1 }, "feature_name"],
      ["a name that is null", { ...valid, name: null }, "name"],
      ["an id in the body", { ...valid, id: "x" }, "id"],
      ["a status in the body", { ...valid, status: "running" }, "status"],
      ["times of the answer in the body", { ...valid, created_at: null, updated_at: null }, "created_at", "updated_at"],
      ["an unknown key", { ...valid, colour: "red" }, "colour"],
      ["__proto__ as a key", '{"environment_key":"e","feature_name":"f","__proto__":{"name":"x"}}', "__proto__"],
      ["a lone surrogate in the name", { ...valid, name: "half \ud83e" }, "name"],
      ["a lone surrogate in the environment", { ...valid, environment_key: "\udd8a" }, "environment_key"],
      ["a lone surrogate in a variant's key", variants({ key: "\ud83e", weight: 1 }), "variants.0.key"],
      ["variants that are no list", { ...valid, variants: { a: 1 } }, "variants"],
      ["a variant that is text", variants("a"), "variants.0"],
      ["a variant without weight", variants({ key: "a" }), "variants.0.weight"],
      ["an empty key", variants({ key: "", weight: 1 }), "variants.0.key"],
      ["an unknown key in a variant", variants({ key: "a", weight: 1, name: "A" }), "variants.0.name"],
      ["a negative weight", variants({ key: "a", weight: 1 }, { key: "b", weight: -0.1 }), "variants.1.weight"],
      ["a weight as text", variants({ key: "a", weight: "1" }), "variants.0.weight"],
      [
        "an infinite weight",
        '{"environment_key":"e","feature_name":"f","variants":[{"key":"a","weight":1e999}]}',
        "variants.0.weight",
      ],
      ["a key twice", variants({ key: "a", weight: 1 }, { key: "a", weight: 2 }), "variants.1.key"],
      ["an ended_at without started_at", { ...valid, ended_at: "2026-06-02T00:00:00.000Z" }, "ended_at"],
      ["an ended_at before started_at", { ...started, ended_at: "2026-05-31T00:00:00.000Z" }, "ended_at"],
      ["an ended_at at started_at", { ...started, ended_at: "2026-06-01T00:00:00.000Z" }, "ended_at"],
      ["a time with an offset", { ...valid, started_at: "2026-06-01T02:00:00.000+02:00" }, "started_at"],
      ["a time without a zone", { ...valid, started_at: "2026-06-01T00:00:00.000" }, "started_at"],
      ["a date without a time", { ...valid, started_at: "2026-06-01" }, "started_at"],
      ["a day that does not exist", { ...valid, started_at: "2026-02-29T00:00:00.000Z" }, "started_at"],
      ["a time finer than milliseconds", { ...valid, started_at: "2026-06-01T00:00:00.0001Z" }, "started_at"],
      ["a time as epoch milliseconds", { ...valid, started_at: 1_780_272_000_000 }, "started_at"],
      ["an empty time", { ...started, ended_at: "" }, "ended_at"],
      ["a list", [valid], ""],
      ["null", "null", ""],
      ["text", '"body"', ""],
      ["lists in lists in lists", "[".repeat(30_000) + "]".repeat(30_000), ""],
    ])("%s", async (_, body, ...paths) => {
      const { id } = fresh();
      expect(pathsOf(await put(id, body)).sort()).toEqual(paths.sort());
      expect((await get(id)).status).toBe(404);
    });

    it.each([
      ["cut off", '{"environment_key": "e"'],
      ["empty", ""],
      ["two values", "{} {}"],
      ["with single quotes", "{'environment_key':'e'}"],
    ])("JSON that does not parse: %s", async (_, body) => {
      const { id } = fresh();
      expectProblem(await worker.call("PUT", pathOf(id), body, { "Content-Type": "application/json" }), 400);
    });

    it("a body that is not UTF-8", async () => {
      const { id } = fresh();
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
      ["a letter beyond ASCII", "é"],
      ["a line break", "a\n"],
      ["NUL", "\0"],
    ])("an id with %s", async (_, id) => {
      expect(pathsOf(await put(id, fresh().body))).toEqual(["id"]);
      expectProblem(await get(id), 404);
    });

    it("keeping what was there", async () => {
      const { id, body } = fresh();
      const { json } = await put(id, body);
      expectProblem(await put(id, { ...body, name: "" }), 400);
      expect((await get(id)).json).toEqual(json);
    });
  });

  describe("a second experiment of a feature", () => {
    const hour = { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-HOUR) };

    it.each([
      ["a draft", {}],
      ["one that is planned", { started_at: fromNow(HOUR) }],
      ["one that runs", { started_at: fromNow(-HOUR) }],
      ["one that runs to a planned end", { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) }],
    ])("is refused with 409 beside %s, and nothing changes", async (_, times) => {
      const open = fresh(times);
      const before = await put(open.id, open.body);
      const second = fresh({ ...open.body, started_at: fromNow(-HOUR), ended_at: null });
      expectProblem(await put(second.id, second.body), 409);
      expectProblem(await get(second.id), 404);
      expect((await get(open.id)).json).toEqual(before.json);
    });

    it("is refused when it comes by an edit, and nothing changes", async () => {
      const open = fresh();
      const other = fresh({ name: "Other", started_at: fromNow(-HOUR) });
      await put(open.id, open.body);
      const before = await put(other.id, other.body);
      expectProblem(await put(other.id, { ...open.body, name: "Moved" }), 409);
      expect((await get(other.id)).json).toEqual(before.json);
    });

    it("is refused when an ended one is opened again", async () => {
      const ended = fresh(hour);
      const open = fresh({ feature_name: ended.body.feature_name });
      await put(ended.id, ended.body);
      expect((await put(open.id, open.body)).status).toBe(201);
      const before = await get(ended.id);
      expectProblem(await put(ended.id, { ...ended.body, ended_at: null }), 409);
      expect((await get(ended.id)).json).toEqual(before.json);
    });

    it("is welcome beside an ended one", async () => {
      const ended = fresh(hour);
      await put(ended.id, ended.body);
      const next = fresh({ feature_name: ended.body.feature_name, started_at: fromNow(-HOUR) });
      expect((await put(next.id, next.body)).status).toBe(201);
    });

    it("is welcome once the first has been ended or deleted", async () => {
      const first = fresh({ started_at: fromNow(-2 * HOUR) });
      await put(first.id, first.body);
      const second = fresh({ feature_name: first.body.feature_name });
      expectProblem(await put(second.id, second.body), 409);
      expect((await put(first.id, { ...first.body, ...hour })).status).toBe(200);
      expect((await put(second.id, second.body)).status).toBe(201);

      const third = fresh({ feature_name: first.body.feature_name });
      expectProblem(await put(third.id, third.body), 409);
      expect((await worker.call("DELETE", pathOf(second.id))).status).toBe(204);
      expect((await put(third.id, third.body)).status).toBe(201);
    });

    it("is welcome in another environment, or with another feature", async () => {
      const first = fresh();
      await put(first.id, first.body);
      for (const change of [{ environment_key: "elsewhere" }, { feature_name: `${first.body.feature_name} ` }]) {
        expect((await put(fresh().id, { ...first.body, ...change })).status).toBe(201);
      }
    });

    it("does not stand in the way of editing the one experiment itself", async () => {
      const { id, body } = fresh({ started_at: fromNow(-HOUR) });
      await put(id, body);
      expect((await put(id, { ...body, name: "New name" })).status).toBe(200);
    });

    it("is refused even when both come at once", async () => {
      const feature = fresh().body;
      const answers = await Promise.all(Array.from({ length: 5 }, () => put(fresh().id, feature)));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
    });
  });

  describe("takes bodies", () => {
    const LIMIT = 64 * 1024;
    /** A valid body of so many bytes, as text. */
    function bodyOf(bytes: number) {
      const { id, body } = fresh();
      const frame = JSON.stringify({ ...body, name: "" }).length;
      return { id, text: JSON.stringify({ ...body, name: "x".repeat(bytes - frame) }) };
    }
    const headers = { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" };
    /** In chunks, without a Content-Length. */
    const putInChunks = async ({ id, text }: { id: string; text: string }) => {
      const body = new Blob([text]).stream();
      const response = await worker.fetch(pathOf(id), { method: "PUT", headers, body, duplex: "half" });
      const answer = await response.text();
      return { status: response.status, headers: response.headers, text: answer, json: JSON.parse(answer) };
    };

    it("of 64 KiB, declared or not", async () => {
      const declared = bodyOf(LIMIT);
      expect((await put(declared.id, declared.text)).status).toBe(201);
      expect((await putInChunks(bodyOf(LIMIT))).status).toBe(201);
    });

    it("but refuses more with 413, declared or not", async () => {
      const declared = bodyOf(LIMIT + 1);
      expectProblem(await put(declared.id, declared.text), 413);
      expectProblem(await get(declared.id), 404);
      const chunked = bodyOf(LIMIT + 1);
      expectProblem(await putInChunks(chunked), 413);
      expectProblem(await get(chunked.id), 404);
    });

    it.each(["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])(
      "sent as %s",
      async (type) => {
        const { id, body } = fresh();
        expect((await worker.call("PUT", pathOf(id), body, { "Content-Type": type })).status).toBe(201);
      },
    );

    it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""])(
      "but refuses them with 415 sent as '%s'",
      async (type) => {
        const { id, body } = fresh();
        expectProblem(await worker.call("PUT", pathOf(id), body, { "Content-Type": type }), 415);
        expectProblem(await get(id), 404);
      },
    );
  });

  it("refuses who has no right to write, and changes nothing", async () => {
    const { id, body } = fresh();
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: "" }), 401);
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: "Bearer wrong" }), 401);
    expectProblem(await worker.call("PUT", pathOf(id), body, { Authorization: `Bearer ${READER}` }), 403);
    expectProblem(await get(id), 404);
  });
});

describe("what is stored", () => {
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
  ])("has the id %s", async (id) => {
    const { body } = fresh();
    expect((await put(id, body)).json).toMatchObject({ id, name: id });
    expect((await get(id)).json).toMatchObject({ id, name: id });
    expect((await worker.call("GET", `${pathOf(id)}/exposures`)).json).toMatchObject({ experiment_id: id });
    expect((await worker.call("DELETE", pathOf(id))).status).toBe(204);
    expectProblem(await get(id), 404);
  });

  it("tells upper case from lower case in ids", async () => {
    const { body } = fresh();
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
    ["combining marks, not composed", "e\u0301"],
    ["control characters", "tab\tline\nreturn\rbell\x07end"],
    ["backslashes and braces", "\\' {x: String} ?1"],
    ["spaces around", " a "],
    ["markup", "<script>alert(1)</script>&amp;"],
  ])("keeps %s as it is in every text", async (_, text) => {
    const { id } = fresh();
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

  it.each(["name", "environment_key", "feature_name"])("is refused in %s", async (path) => {
    const answer = await put(fresh().id, { ...body, [path]: "a\0b" });
    expect(answer.json).toMatchObject({ status: 400, errors: [{ path, message: "must not hold a NUL character" }] });
  });

  it("is kept in a variant's key, which may be any text", async () => {
    const variants = [{ key: "a\0b", weight: 1 }];
    expect((await put(fresh().id, { ...body, variants })).json.variants).toEqual(variants);
  });
});

describe("the status", () => {
  it.each([
    ["draft", "has no start", {}],
    ["draft", "starts in the future", { started_at: fromNow(HOUR), ended_at: fromNow(2 * HOUR) }],
    ["running", "has started", { started_at: fromNow(-HOUR) }],
    ["running", "has started and not ended yet", { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) }],
    ["completed", "has ended", { started_at: fromNow(-HOUR), ended_at: fromNow(-1) }],
  ])("is %s if it %s", async (status, _, times) => {
    const { id, body } = fresh(times);
    expect((await put(id, body)).json.status).toBe(status);
    expect((await get(id)).json.status).toBe(status);
    expect((await worker.call("GET", `${pathOf(id)}/exposures`)).json.status).toBe(status);
  });
});

describe("GET and DELETE /v1/experiments/{id}", () => {
  it("deletes with 204 and no body, once", async () => {
    const { id, body } = fresh();
    await put(id, body);
    const deleted = await worker.call("DELETE", pathOf(id));
    expect(deleted).toMatchObject({ status: 204, text: "" });
    expectProblem(await worker.call("DELETE", pathOf(id)), 404);
    expectProblem(await get(id), 404);
    expectProblem(await worker.call("GET", `${pathOf(id)}/exposures`), 404);
    expect((await put(id, body)).status).toBe(201);
  });

  it("deletes once, though asked many times at once", async () => {
    const { id, body } = fresh();
    await put(id, body);
    const answers = await Promise.all(Array.from({ length: 4 }, () => worker.call("DELETE", pathOf(id))));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
  });

  it.each(["nothing-here", "it's", "' OR '1'='1", "%00", "%", "a%2Fb", "a".repeat(65)])(
    "answers 404 for the id %s, which nobody has",
    async (id) => {
      await put("somebody", { environment_key: "env", feature_name: "somebody's" });
      expectProblem(await get(id), 404);
      expectProblem(await worker.call("DELETE", pathOf(id)), 404);
      expect((await get("somebody")).status).toBe(200);
    },
  );

  it("answers 404 for an escape that is none", async () => {
    expectProblem(await worker.call("GET", "/v1/experiments/%ff"), 404);
    expectProblem(await worker.call("DELETE", "/v1/experiments/%zz"), 404);
  });
});

describe("GET /v1/experiments", () => {
  const list = (query: Record<string, string>) => worker.call("GET", `/v1/experiments?${new URLSearchParams(query)}`);
  const idsOf = ({ json }: Answer): string[] => json.experiments.map(({ id }: { id: string }) => id);

  /** Follows the cursors to the end; `between` runs after each page. */
  async function pages(query: Record<string, string>, between?: (page: number) => Promise<unknown>) {
    const found: string[][] = [];
    for (let cursor: string | null = ""; cursor !== null && found.length < 50; ) {
      const answer: Answer = await list(cursor === "" ? query : { ...query, cursor });
      expect(answer.status).toBe(200);
      found.push(idsOf(answer));
      cursor = answer.json.next_cursor;
      await between?.(found.length);
    }
    return found;
  }

  describe("of environments with experiments in every state", () => {
    const made = [
      { id: "list-a", status: "draft", times: {} },
      { id: "list-b", status: "draft", times: { started_at: fromNow(HOUR) } },
      { id: "list-c", status: "running", times: { started_at: fromNow(-HOUR) } },
      { id: "list-d", status: "running", times: { started_at: fromNow(-HOUR), ended_at: fromNow(HOUR) } },
      { id: "list-e", status: "completed", times: { started_at: fromNow(-HOUR), ended_at: fromNow(-1) } },
      { id: "list-f", status: "draft", times: {} },
      { id: "list-g", status: "running", times: { started_at: fromNow(-HOUR) } },
    ].map((experiment, index) => ({ ...experiment, environment: index < 5 ? "list-1" : "list-2" }));

    beforeAll(async () => {
      for (const { id, environment, times } of made) {
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
    ])("answers what %j asks for, in the order of ids", async (query, ids) => {
      const answer = await list(query);
      expect(idsOf(answer)).toEqual(ids);
      expect(answer.json.next_cursor).toBeNull();
    });

    it("filters by status over all environments", async () => {
      for (const status of ["draft", "running", "completed"]) {
        const found = (await pages({ status, limit: "200" })).flat().filter((id) => id.startsWith("list-"));
        expect(found).toEqual(made.filter((one) => one.status === status).map(({ id }) => id));
      }
    });

    it("shows each experiment as its own GET does", async () => {
      const { experiments } = (await list({ environment_key: "list-1" })).json;
      expect(experiments).toEqual(
        await Promise.all(experiments.map(async ({ id }: { id: string }) => (await get(id)).json)),
      );
    });

    it("is complete without a query, in pages of 50", async () => {
      const all = await pages({});
      expect(all.slice(0, -1).every((page) => page.length === 50)).toBe(true);
      expect(all.flat()).toEqual(expect.arrayContaining(made.map(({ id }) => id)));
    });
  });

  it.each([1, 2, 3, 6, 7, 8, 200])("pages by %i: every experiment exactly once, in order", async (limit) => {
    const ids = ["A", "B", "_", "a", "a.b", "a0", "b"].map((end) => `page-${end}`);
    for (const id of ids.toReversed()) await put(id, { environment_key: "pages", feature_name: id });
    const found = await pages({ environment_key: "pages", limit: String(limit) });
    expect(found.flat()).toEqual(ids);
    expect(found.map((page) => page.length)).toEqual(
      Array.from({ length: Math.ceil(7 / limit) }, (_, page) => Math.min(limit, 7 - page * limit)),
    );
  });

  it("misses none and repeats none while others come and go between the pages", async () => {
    const environment_key = "moving pages";
    const add = (id: string) => put(id, { environment_key, feature_name: id });
    for (const id of ["move-2", "move-4", "move-6", "move-8"]) await add(id);
    const found = await pages({ environment_key, limit: "2" }, async (page) => {
      if (page > 1) return;
      await worker.call("DELETE", pathOf("move-4"));
      await add("move-1");
      await add("move-7");
    });
    expect(found.flat()).toEqual(["move-2", "move-4", "move-6", "move-7", "move-8"]);
  });

  it("filters inside pages too", async () => {
    const environment_key = "filtered pages";
    for (let index = 0; index < 6; index += 1) {
      const times = index % 2 === 0 ? { started_at: fromNow(-HOUR) } : {};
      await put(`filter-${index}`, { environment_key, feature_name: `${index}`, ...times });
    }
    const found = await pages({ environment_key, status: "running", limit: "2" });
    expect(found).toEqual([["filter-0", "filter-2"], ["filter-4"]]);
  });

  it("has no experiments for an environment that nobody knows", async () => {
    expect((await list({ environment_key: "nobody" })).json).toEqual({ experiments: [], next_cursor: null });
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
  ])("refuses %j with 400, and says where", async (query) => {
    expect(pathsOf(await list(query))).toEqual(Object.keys(query));
  });
});
