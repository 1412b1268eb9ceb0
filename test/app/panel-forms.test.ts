import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browse, type PageResponse, signInWith } from "../support/visitor.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;

let warehouse: TestWarehouse;
let worker: TestWorker;
let admin: ReturnType<typeof browse>;
let scoped: ReturnType<typeof browse>;
let reader: ReturnType<typeof browse>;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings, { SESSION_SECRET: "session secret of the tests", SETTLE_SECONDS: 60 });
  const made = await worker.call("POST", "/v1/api-keys", { name: "theirs", role: "write", environment_key: "theirs" });
  const from = Date.now() - 3 * HOUR;
  const exposed = (environment_key: string, feature_name: string, value: string, count: number) =>
    Array.from({ length: count }, (_, index) => {
      return { environment_key, feature_name, value, identifier: `${value}-${index}`, timestamp: from + index * 1000 };
    });
  await warehouse.insert([
    ...exposed("env", "found", "control", 90),
    ...exposed("env", "found", "treatment", 10),
    ...exposed("theirs", "<b>theirs", "control", 5),
    ...exposed("env", "found", "12.50", 1).map((event) => ({ ...event, event: "purchase" })),
  ]);
  admin = await signInWith(worker, ADMIN);
  reader = await signInWith(worker, READER);
  scoped = await signInWith(worker, made.json.key);
});
afterAll(() => worker.stop());

const texts = { environment_key: "env", feature_name: "button" };
const ago = (hours: number) => new Date(Date.now() - hours * HOUR).toISOString();
const get = async (id: string) => (await worker.call("GET", `/v1/experiments/${id}`)).json;

/** The fields of a page's form, as a browser would send them with one of its buttons. */
function fieldsOn({ text }: PageResponse, button: Record<string, string> = { do: "save" }): [string, string][] {
  const form = /<form class="edit".*?<\/form>/s.exec(text)?.[0] ?? "";
  const inputs = [...form.matchAll(/<input [^>]*?name="([^"]+)" value="([^"]*)"/g)].map(
    ([, name = "", value = ""]) => ({ name, value }),
  );
  const selects = [...form.matchAll(/<select [^>]*?name="([^"]+)".*?<\/select>/gs)].map(([select, name = ""]) => ({
    name,
    value: /value="([^"]*)" selected/.exec(select)?.[1] ?? "",
  }));
  const fields = [...inputs, ...selects].filter(({ name }) => name !== "agreed");
  return [...fields.map(({ name, value }): [string, string] => [name, unescaped(value)]), ...Object.entries(button)];
}
const unescaped = (text: string) =>
  text.replace(
    /&(lt|gt|quot|#39|amp);/g,
    (_, name: string) => ({ lt: "<", gt: ">", quot: '"', "#39": "'", amp: "&" })[name] ?? "",
  );

/** Submits fields; a name may repeat. */
const submit = (visitor: typeof admin, path: string, fields: readonly (readonly [string, string])[]) =>
  visitor.postAs(path, new URLSearchParams(fields.map((field) => [...field])).toString(), {
    "Content-Type": "application/x-www-form-urlencoded",
  });
const replaced = (fields: [string, string][], changes: Record<string, string>) =>
  fields.map(([name, value]): [string, string] => [name, changes[name] ?? value]);

async function edit(id: string, changes: Record<string, string>, more: Record<string, string> = {}) {
  const fields = fieldsOn(await admin.get(`/experiments/${id}/edit`));
  return submit(admin, `/experiments/${id}/edit`, [...replaced(fields, changes), ...Object.entries(more)]);
}

async function create(id: string, more: object = {}) {
  const definition = { environment_key: "env", feature_name: id, started_at: ago(5), ...more };
  const { status } = await worker.call("PUT", `/v1/experiments/${id}`, definition);
  expect(status).toBe(201);
  await until(
    () => worker.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );
}

describe("the first page", () => {
  const hrefOf = (page: PageResponse, feature: string) => {
    const links = [...page.text.matchAll(/href="(\/new\?[^"]+)"/g)].map(([, href = ""]) => unescaped(href));
    return links.find((href) => new URLSearchParams(href.slice(5)).get("feature_name") === feature) ?? "";
  };

  /** A page shows without features while the warehouse is slow. */
  const showing = (visitor: typeof admin, path: string, feature: string) =>
    until(
      () => visitor.get(path),
      (page) => hrefOf(page, feature) !== "",
    );

  it("finds the features of the warehouse, and is two clicks from the numbers of one", async () => {
    const first = await showing(admin, "/", "found");
    expect(first.text).toContain("ClickHouse answers, and its events table has the required columns.");
    expect(first.text).toMatch(/control\u2069 90%.*treatment\u2069 10%.*about 100 identities/s);
    const option = '<option value="purchase" label="purchase: 1 in 30 days, values are numbers">';
    const form = await until(
      () => admin.get(hrefOf(first, "found")),
      ({ text }) => text.includes("The weights are a guess") && text.includes(option),
    );

    const preview = await submit(admin, "/new", fieldsOn(form, { do: "preview" }));
    expect([preview.status, /This counts 100 identities so far/.test(preview.text)]).toEqual([200, true]);
    expect(fieldsOn(preview)).toEqual(fieldsOn(form));

    const created = await submit(admin, "/new", fieldsOn(preview));
    expect(created.headers.get("Location")).toBe("/experiments/found");
    const { exposures } = await until(
      () => worker.exposures("found"),
      ({ exposures }) => exposures !== null,
    );
    expect(exposures.variants).toEqual({ control: 90, treatment: 10 });
    expect((await get("found")).variants).toEqual([
      { key: "control", weight: 90 },
      { key: "treatment", weight: 10 },
    ]);
  });

  it("later offers only features that no experiment counts", async () => {
    const list = await showing(admin, "/", "<b>theirs");
    expect(hrefOf(list, "found")).toBe("");
    expect(list.text).not.toContain("<b>");
    const all = await admin.get("/warehouse");
    expect(all.text).toContain('href="/experiments/found"');
    expect((await admin.get("/?search=found")).text).not.toContain("Found in your warehouse");
  });

  it("shows a key of one environment its features and counts only", async () => {
    for (const path of ["/", "/warehouse"]) {
      const page = await showing(scoped, path, "<b>theirs");
      expect(page.text).not.toContain("found<");
    }
    const form = await scoped.get("/new?environment_key=env&feature_name=found");
    expect(form.text).not.toContain("purchase");
    const fields = replaced(fieldsOn(form, { do: "preview" }), {
      environment_key: "env",
      started_at: "2026-01-01T00:00",
    });
    const preview = await submit(scoped, "/new", fields);
    expect([preview.status, preview.text.includes("This counts")]).toEqual([403, false]);
    expect(preview.text).not.toContain("purchase");
  });

  it("says why there is nothing to preview", async () => {
    const fields = replaced(fieldsOn(await admin.get("/new"), { do: "preview" }), {
      ...texts,
      feature_name: "mistyped",
    });
    const of = async (started_at: string) => (await submit(admin, "/new", replaced(fields, { started_at }))).text;
    expect(await of("")).toContain("its start is not in the past");
    expect(await of("2299-01-01T00:00")).toContain("its start is not in the past");
    expect(await of("2026-01-01T00:00")).toContain("This counts 0 identities so far. Check the feature");
  });
});

describe("creating an experiment", () => {
  it("saves what the form says, with an id made of the feature", async () => {
    const fields = fieldsOn(await admin.get("/new"));
    const body = replaced(fields, {
      ...texts,
      name: "Button",
      started_at: "2026-06-01T00:00",
      ended_at: "2026-07-01T12:30:05",
    });
    const metric = Object.entries({
      event: "buy now",
      aggregation: "sum",
      expected_direction: "increase",
      key: "",
      name: "",
    });
    const response = await submit(admin, "/new", [
      ...body,
      ...metric.map(([name, value]) => [`metrics.${name}`, value] as const),
    ]);
    expect([response.status, response.headers.get("Location")]).toEqual([303, "/experiments/button"]);
    expect(await get("button")).toMatchObject({
      id: "button",
      name: "Button",
      environment_key: "env",
      feature_name: "button",
      variants: [
        { key: "control", weight: 50 },
        { key: "treatment", weight: 50 },
      ],
      metrics: [{ key: "buy-now", name: "buy-now", event: "buy now", aggregation: "sum", lookback_days: 0 }],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: "2026-07-01T12:30:05.000Z",
    });
  });

  it("takes the next free id, and never replaces an experiment", async () => {
    const fields = replaced(fieldsOn(await admin.get("/new")), texts);
    const free = await submit(admin, "/new", fields);
    expect(free.headers.get("Location")).toBe("/experiments/button-2");
    const taken = await submit(admin, "/new", replaced(fields, { id: "button", name: "Another" }));
    expect(taken.status).toBe(400);
    expect(taken.text).toMatch(/id="id"[^>]* aria-invalid="true" aria-describedby="id.hint id.error" autofocus/);
    expect(taken.text).toMatch(/id="id.error">ID is taken/);
    expect((await get("button")).name).toBe("Button");
  });

  it("shows each error of the API beside its field, and keeps what was typed", async () => {
    const fields = replaced(fieldsOn(await admin.get("/new")), {
      id: "no spaces",
      name: 'A "name" <b>',
      environment_key: "",
      "variants.key": "twice",
      "variants.weight": "half",
      started_at: "soon",
      ended_at: "2026-07-01T00:00",
    });
    const response = await submit(admin, "/new", fields);
    expect(response.status).toBe(400);
    const paths = ["feature_name", "environment_key", "id", "started_at", "variants.0.weight", "variants.1.weight"];
    for (const path of paths) expect(response.text, path).toMatch(new RegExp(`id="${path}.error">[^<]+ (must|is) `));
    const links = [...response.text.matchAll(/<a href="#([^"]+)">/g)].map(([, path]) => path);
    expect(links, "in the order of the page").toEqual(paths);
    expect(response.text).toMatch(/id="feature_name"[^>]* autofocus/);
    expect(fieldsOn(response)).toEqual(fields);
    expect(response.text).not.toContain("<b>");
  });

  it("keeps a refused form as it was typed, with the errors at the rows that have them", async () => {
    const row = (list: string, fields: Record<string, string>) =>
      Object.entries(fields).map(([field, value]): [string, string] => [`${list}.${field}`, value]);
    const metric = { event: "", aggregation: "occurrence", expected_direction: "increase", name: "", key: "" };
    const typed: [string, string][] = [
      ...Object.entries({ ...texts, opened_at: "0", name: "", id: "", started_at: "2026-06-01T00:00", ended_at: "" }),
      ...row("variants", { key: "control", weight: "50" }),
      ...row("variants", { key: "", weight: "" }),
      ...row("variants", { key: "treatment", weight: "half" }),
      ...row("metrics", { ...metric, conversion_window_hours: "", lookback_days: "0" }),
      ...row("metrics", { ...metric, event: "buy", conversion_window_hours: "", lookback_days: "91" }),
      ["do", "start"],
    ];
    const response = await submit(admin, "/new", typed);
    expect(response.status).toBe(400);
    expect(fieldsOn(response, { do: "start" }).toSorted()).toEqual(typed.toSorted());
    const errors = [...response.text.matchAll(/id="([^"]+)\.error"/g)].map(([, path]) => path);
    expect(errors).toEqual(["variants.2.weight", "metrics.1.lookback_days"]);
    expect(response.text).toMatch(/id="variants.2.weight"[^>]* autofocus/);
  });

  it("saves what the API accepts, and edits it, though a form is longer than JSON", async () => {
    const keys = Array.from({ length: 2000 }, (_, index) => `a & b ${index}`);
    const fields: [string, string][] = [
      ...Object.entries({ ...texts, feature_name: "large" }),
      ...keys.flatMap((key): [string, string][] => [
        ["variants.key", key],
        ["variants.weight", "1"],
      ]),
      ["do", "save"],
    ];
    expect((await submit(admin, "/new", fields)).headers.get("Location")).toBe("/experiments/large");
    expect((await get("large")).variants).toHaveLength(2000);
    expect((await edit("large", { name: "Renamed" })).status).toBe(303);
    const { name, variants } = await get("large");
    expect([name, variants.map(({ key }: { key: string }) => key)]).toEqual(["Renamed", keys]);
  });

  it("may keep a definition that is longer in the form's JSON than in the client's", async () => {
    const metrics = Array.from({ length: 20 }, (_, index) => {
      return { key: `m${index}`, event: "e", aggregation: "count", expected_direction: "increase" };
    });
    const definition = { ...texts, feature_name: "largest", metrics, name: "" };
    const name = "n".repeat(65_536 - JSON.stringify(definition).length);
    expect((await worker.call("PUT", "/v1/experiments/largest", { ...definition, name })).status).toBe(201);
    expect((await edit("largest", { "metrics.event": "f" })).status).toBe(303);
    expect((await edit("largest", { name: `${name}n` })).status).toBe(413);
  });

  it("adds and removes rows without losing a field", async () => {
    const fields = replaced(fieldsOn(await admin.get("/new"), { add: "metrics" }), {
      name: "Kept",
      started_at: "2026-06-01T00:00",
    });
    const added = await submit(admin, "/new", fields);
    expect(added.status).toBe(200);
    expect(added.text).toMatch(/id="metrics.0.event"[^>]* autofocus/);
    expect(fieldsOn(added, {})).toEqual(expect.arrayContaining(fields.slice(0, -1)));
    const removed = await submit(admin, "/new", fieldsOn(added, { remove: "variants.0" }));
    const keys = fieldsOn(removed).flatMap(([name, value]) => (name === "variants.key" ? [value] : []));
    expect(keys).toEqual(["treatment"]);
  });

  it("starts at once", async () => {
    const before = Date.now();
    const fields = replaced(fieldsOn(await admin.get("/new"), { do: "start" }), { ...texts, feature_name: "at-once" });
    expect((await submit(admin, "/new", fields)).headers.get("Location")).toBe("/experiments/at-once");
    const { status, started_at } = await get("at-once");
    expect(status).toBe("running");
    expect(Date.parse(started_at)).toBeGreaterThanOrEqual(before);
  });

  it("states on the page why the API refuses it as a whole", async () => {
    await worker.call("PUT", "/v1/experiments/blocks", { ...texts, feature_name: "blocked", started_at: ago(5) });
    const fields = replaced(fieldsOn(await admin.get("/new"), { do: "start" }), { ...texts, feature_name: "blocked" });
    const response = await submit(admin, "/new", fields);
    expect(response.status).toBe(409);
    expect(response.text).toMatch(/role="alert">The window overlaps/);
  });
});

describe("editing an experiment", () => {
  it("changes nothing if nothing is changed", async () => {
    const metrics = [
      { key: "m", event: "e", aggregation: "mean", expected_direction: "not_decrease", lookback_days: 7 },
    ];
    const variants = [{ key: 'a"<\n>', weight: 0.1 }];
    const more = { name: "Line\nbreak", started_at: "2026-06-01T00:00:00.123Z", ended_at: "2026-06-08T00:00:01.000Z" };
    await worker.call("PUT", "/v1/experiments/same", {
      environment_key: "env",
      feature_name: "same",
      variants,
      metrics,
      ...more,
    });
    const before = await get("same");
    const response = await edit("same", {});
    expect([response.status, response.headers.get("Location")]).toEqual([303, "/experiments/same"]);
    expect(await get("same")).toEqual({ ...before, updated_at: expect.any(String) });
  });

  it("shows a name in the page's title on one line, and in its own direction", async () => {
    const body = { environment_key: "env", feature_name: "titled", name: "one\ntwo \u202e\u0007 <b>" };
    await worker.call("PUT", "/v1/experiments/titled", body);
    const titleOf = async (path: string) => /<title>(.*?)<\/title>/s.exec((await admin.get(path)).text)?.[1];
    const shown = "\u2068one two \ufffd\ufffd &lt;b&gt;\u2069";
    expect(await titleOf("/experiments/titled")).toBe(shown);
    expect(await titleOf("/experiments/titled/edit")).toBe(`Edit ${shown}`);
    expect(await titleOf("/new")).toBe("New experiment");
  });

  it("asks before it drops numbers, and drops them once the visitor agrees", async () => {
    await create("costly");
    const asked = await edit("costly", { started_at: "2026-11-01T00:00" });
    expect(asked.status).toBe(409);
    expect(asked.text).toContain("Changing the start deletes all numbers and results.");
    expect((await worker.exposures("costly")).exposures).not.toBeNull();
    const agreed = await edit("costly", { started_at: "2026-11-01T00:00" }, { agreed: "numbers" });
    expect(agreed.status).toBe(303);
    expect((await get("costly")).started_at).toBe("2026-11-01T00:00:00.000Z");
  });

  it("asks before it drops the results of a metric, and only if its counts change", async () => {
    const metric = { key: "buys", event: "buy", aggregation: "count", expected_direction: "increase" };
    await create("measured", { metrics: [metric] });
    expect(
      (await edit("measured", { "metrics.name": "Renamed", "metrics.expected_direction": "decrease" })).status,
    ).toBe(303);
    await until(
      () => worker.exposures("measured"),
      ({ refresh_requested_at }) => refresh_requested_at === null,
    );
    const asked = await edit("measured", { "metrics.aggregation": "sum" });
    expect(asked.status).toBe(409);
    expect(asked.text).toContain("The results of the metric buys are deleted.");
    expect((await edit("measured", { "metrics.aggregation": "sum" }, { agreed: "results.buys" })).status).toBe(303);
    expect((await worker.exposures("measured")).exposures).not.toBeNull();
  });

  it("replaces final numbers only once the visitor agrees", async () => {
    await create("final", { started_at: ago(5), ended_at: ago(3) });
    await until(
      () => worker.exposures("final"),
      ({ is_final }) => is_final,
    );
    const ended_at = "2099-01-01T00:00";
    const asked = await edit("final", { ended_at });
    expect([asked.status, asked.text.includes("The numbers are final")]).toEqual([409, true]);
    expect((await edit("final", { ended_at }, { agreed: "numbers" })).status).toBe(409);
    expect((await edit("final", { ended_at }, { agreed: "final" })).status).toBe(303);
    expect((await get("final")).status).toBe("running");
  });

  it("asks before it replaces another visitor's edit", async () => {
    await worker.call("PUT", "/v1/experiments/shared", { environment_key: "env", feature_name: "shared" });
    const fields = fieldsOn(await admin.get("/experiments/shared/edit"));
    await worker.call("PUT", "/v1/experiments/shared", {
      environment_key: "env",
      feature_name: "shared",
      name: "Theirs",
    });
    const asked = await submit(admin, "/experiments/shared/edit", replaced(fields, { name: "Mine" }));
    expect(asked.status).toBe(409);
    const [, agreed = ""] = /name="agreed" value="(edit\.\d+)"/.exec(asked.text) ?? [];
    expect(fieldsOn(asked)).toContainEqual(["name", "Mine"]);
    const saved = await submit(admin, "/experiments/shared/edit", [...fieldsOn(asked), ["agreed", agreed]]);
    expect([saved.status, (await get("shared")).name]).toEqual([303, "Mine"]);
  });
});

describe("the buttons of an experiment's page", () => {
  it("start a draft, end it, and delete it", async () => {
    await worker.call("PUT", "/v1/experiments/buttons", { environment_key: "env", feature_name: "buttons" });
    expect((await admin.get("/experiments/buttons")).text).toContain('action="/experiments/buttons/start"');
    expect((await admin.post("/experiments/buttons/start")).headers.get("Location")).toBe("/experiments/buttons");
    expect((await get("buttons")).status).toBe("running");
    const again = await admin.post("/experiments/buttons/start");
    expect([again.status, /role="alert">[^<]*has started already/.test(again.text)]).toEqual([409, true]);
    expect((await admin.get("/experiments/buttons")).text).toContain('action="/experiments/buttons/end"');
    expect((await admin.post("/experiments/buttons/end")).status).toBe(303);
    expect((await get("buttons")).status).toBe("completed");
    expect((await admin.post("/experiments/buttons/end")).status).toBe(409);
    expect((await admin.post("/experiments/buttons/delete")).headers.get("Location")).toBe("/");
    expect((await admin.get("/experiments/buttons/edit")).status).toBe(404);
    expect((await admin.post("/experiments/buttons/delete")).status).toBe(404);
  });
});

describe("rights", () => {
  const posts = [
    "/new",
    "/experiments/kept/edit",
    "/experiments/kept/start",
    "/experiments/kept/end",
    "/experiments/kept/delete",
  ];
  beforeAll(() => worker.call("PUT", "/v1/experiments/kept", { environment_key: "env", feature_name: "kept" }));

  it("a read-only visitor sees no forms, and submits none", async () => {
    for (const path of ["/", "/experiments/kept"])
      expect((await reader.get(path)).text).not.toMatch(/\/new|\/edit|\/start|api-keys|\/warehouse/);
    for (const path of ["/new", "/experiments/kept/edit", "/warehouse", "/api-keys"]) {
      const { status, text } = await reader.get(path);
      expect([status, /<title>No access\b/.test(text)], path).toEqual([403, true]);
    }
    for (const path of [...posts, "/api-keys", "/api-keys/x/revoke"])
      expect((await reader.post(path, texts)).status, path).toBe(403);
    expect((await get("kept")).status).toBe("draft");
  });

  it("a visitor who has not signed in is asked to, and changes nothing", async () => {
    expect((await browse(worker).get("/new")).headers.get("Location")).toBe("/login?next=%2Fnew");
    for (const path of [...posts, "/api-keys", "/api-keys/x/revoke"]) {
      const { status, headers, text } = await browse(worker).post(path, texts);
      // A redirect would lose what was typed.
      if (/(new|edit|api-keys)$/.test(path))
        expect([status, /<h1>Sign in again/.test(text)], path).toEqual([401, true]);
      else expect([status, headers.get("Location")], path).toEqual([303, "/login"]);
    }
    expect((await get("kept")).status).toBe("draft");
  });

  it("a form that can't be read gets a page with the reason", async () => {
    for (const path of ["/new", "/experiments/kept/edit", "/experiments/kept/share", "/api-keys"]) {
      const { status, headers, text } = await admin.post(path, { name: "a".repeat(66_000) });
      expect([status, headers.get("Content-Type")], path).toEqual([413, "text/html; charset=utf-8"]);
      expect(text).toContain("Send at most 65536 bytes.");
    }
    for (const path of ["/new", "/experiments/kept/edit"]) {
      const { status, text } = await admin.post(path, { unknown: "a".repeat(1_048_576) });
      expect([status, /Send at most 1048576 bytes/.test(text)], path).toEqual([413, true]);
    }
  });

  it("a key of one environment changes only its experiments", async () => {
    for (const path of posts.slice(1)) expect((await scoped.post(path, texts)).status, path).toBe(404);
    expect((await scoped.get("/experiments/kept/edit")).status).toBe(404);
    const form = await scoped.get("/new");
    expect(form.text).toMatch(/name="environment_key" value="theirs"[^>]* readonly/);
    expect(form.text).not.toContain('value="env"');
    const fields = replaced(fieldsOn(form), { feature_name: "mine" });
    expect((await submit(scoped, "/new", fields)).headers.get("Location")).toBe("/experiments/mine");
    const foreign = await submit(scoped, "/new", replaced(fields, { environment_key: "env", id: "foreign" }));
    expect([foreign.status, foreign.text.includes("bound to another environment")]).toEqual([403, true]);
    expect((await scoped.get("/api-keys")).status).toBe(403);
  });

  it("a form from another site is rejected", async () => {
    for (const path of [...posts, "/api-keys", "/api-keys/x/revoke"])
      expect((await admin.post(path, texts, { Origin: "https://evil.example" })).status, path).toBe(403);
    expect((await get("kept")).status).toBe("draft");
  });
});

describe("API keys", () => {
  it("are made, shown once, listed and revoked", async () => {
    const form = { name: "Data <team>", role: "write", environment_key: "env", expires_at: "2099-01-01T00:00" };
    const made = await admin.post("/api-keys", form);
    const [, key = ""] = /value="(ee_[0-9a-f]{72})"/.exec(made.text) ?? [];
    expect([made.status, made.headers.get("Cache-Control")]).toEqual([200, "private, no-store"]);
    const visitor = await signInWith(worker, key);
    expect((await visitor.get("/new")).text).toMatch(/value="env"[^>]* readonly/);

    const list = await admin.get("/api-keys");
    expect(list.text).toContain("Data &lt;team&gt;");
    expect(list.text).toContain("2099-01-01 00:00 UTC");
    expect(list.text).not.toContain(key);
    const [path = ""] = [...list.text.matchAll(/<tr>.*?<\/tr>/gs)]
      .filter(([row]) => row.includes("Data &lt;team"))
      .map(([row]) => /action="([^"]+)"/.exec(row)?.[1]);
    expect((await admin.post(path)).headers.get("Location")).toBe("/api-keys");
    expect((await visitor.get("/new")).status).toBe(303);
    const again = await admin.post(path);
    expect([again.status, /role="alert">This key does not exist/.test(again.text)]).toEqual([404, true]);
  });

  it.each([
    { field: "name", form: { name: "" } },
    { field: "role", form: { role: "admin" } },
    { field: "expires_at", form: { expires_at: "2020-01-01T00:00" } },
  ])("are not made with a wrong $field, which the page says beside it", async ({ field, form }) => {
    const all = { name: "typed <name>", role: "read", environment_key: "typed-env", expires_at: "", ...form };
    const { status, text } = await admin.post("/api-keys", all);
    expect(status).toBe(400);
    expect(text).toContain(`id="${field}.error"`);
    expect(text).toContain('value="typed-env"');
    expect(text).not.toContain("ee_");
  });
});

it("no request of these tests is logged as failed, and no key is logged", () => {
  expect(worker.logs().map(({ event }) => event)).not.toContain("request.failed");
  expect(worker.lines().join()).not.toMatch(/ee_[0-9a-f]{64}/);
});
