import { createHmac, randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { FLAGSMITH_SECRET, startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

const INTERVAL_MS = 2000;

let warehouse: TestWarehouse;
let worker: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings, { REFRESH_MIN_INTERVAL_SECONDS: INTERVAL_MS / 1000 });
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const MIB = 1024 * 1024;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const textOf = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body));

type Signing = { id?: string; at?: number; secret?: string };

function signStandard(body: string, { id = randomUUID(), at = Date.now(), secret = WEBHOOK_SECRET }: Signing = {}) {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, new Date(at), body),
  };
}

const signHex = (body: string, secret = FLAGSMITH_SECRET) => createHmac("sha256", secret).update(body).digest("hex");

/** Without a bearer token: the signature is what counts. */
const post = (path: string, body: unknown, headers: Record<string, string>) =>
  worker.call("POST", path, textOf(body), { Authorization: "", ...headers });

/** A Standard Webhook, signed well. */
const hint = (body: unknown, signing?: Signing) => post("/webhooks/refresh", body, signStandard(textOf(body), signing));

/** A Flagsmith webhook, signed well. */
const flagsmith = (environment: string, body: unknown) =>
  post(`/webhooks/flagsmith/${encodeURIComponent(environment)}`, body, {
    "X-Flagsmith-Signature": signHex(textOf(body)),
  });

type Answer = Awaited<ReturnType<typeof post>>;

function expectRefused(answer: Answer, status: number) {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
  expect(answer.json).toMatchObject({ status });
  expect(answer.headers.has("WWW-Authenticate")).toBe(status === 401);
}

const byId = (a: { experiment_id: string }, b: { experiment_id: string }) =>
  a.experiment_id < b.experiment_id ? -1 : 1;

/** The receipt, with its lists in the order of ids. */
function receiptOf(answer: Answer) {
  expect(answer.status).toBe(202);
  const { accepted, skipped, ...rest } = answer.json;
  expect(rest).toEqual({});
  return { accepted: [...accepted].sort(), skipped: [...skipped].sort(byId) };
}

async function put(id: string, environment_key: string, feature_name: string, times: object) {
  const answer = await worker.call("PUT", `/v1/experiments/${id}`, { environment_key, feature_name, ...times });
  expect(answer.status).toBeLessThan(300);
}

const untilComputed = (id: string) =>
  until(
    () => worker.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

let made = 0;
/** An experiment of its own that runs and whose first refresh is over; its feature has its name. */
async function running(environment = "env"): Promise<string> {
  made += 1;
  const id = `running-${made}`;
  await put(id, environment, id, { started_at: fromNow(-HOUR) });
  await untilComputed(id);
  return id;
}

const seenOf = async (id: string) => {
  const { text, headers } = await worker.call("GET", `/v1/experiments/${id}/exposures`);
  return { text, etag: headers.get("ETag") };
};

const refreshesOf = (id: string) =>
  worker.logs().filter(({ event, experiment_id }) => event === "refresh.succeeded" && experiment_id === id).length;

/** Environment `hooks` with an experiment in every state, all of one feature but for those that may not be. */
beforeAll(async () => {
  await put("final", "hooks", "button", { started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) });
  await put("ended", "hooks", "button", { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-1000) });
  await put("open", "hooks", "button", { started_at: fromNow(-HOUR) });
  await put("draft", "hooks", "slider", {});
  await put("planned", "hooks", "switch", { started_at: fromNow(HOUR) });
  await put("elsewhere", "other hooks", "button", { started_at: fromNow(-HOUR) });
  await until(
    () => worker.exposures("final"),
    ({ is_final }) => is_final === true,
  );
});

const final = { experiment_id: "final", reason: "final" };
const notStarted = ["draft", "planned"].map((experiment_id) => ({ experiment_id, reason: "not_started" }));
const feature = { accepted: ["ended", "open"], skipped: [final] };
const environment = { accepted: ["ended", "open"], skipped: [...notStarted, final].sort(byId) };
const nothing = { accepted: [], skipped: [] };

describe("POST /webhooks/refresh", () => {
  it.each([
    { body: { experiment_id: "open" }, receipt: { accepted: ["open"], skipped: [] } },
    { body: { experiment_id: "ended" }, receipt: { accepted: ["ended"], skipped: [] } },
    { body: { experiment_id: "final" }, receipt: { accepted: [], skipped: [final] } },
    { body: { experiment_id: "draft" }, receipt: { accepted: [], skipped: notStarted.slice(0, 1) } },
    { body: { experiment_id: "planned" }, receipt: { accepted: [], skipped: notStarted.slice(1) } },
    {
      body: { experiment_id: "nothing-here" },
      receipt: { accepted: [], skipped: [{ experiment_id: "nothing-here", reason: "not_found" }] },
    },
    { body: { environment_key: "hooks", feature_name: "button" }, receipt: feature },
    {
      body: { environment_key: "hooks", feature_name: "slider" },
      receipt: { accepted: [], skipped: notStarted.slice(0, 1) },
    },
    { body: { environment_key: "hooks", feature_name: "BUTTON" }, receipt: nothing },
    { body: { environment_key: "hooks" }, receipt: environment },
    { body: { environment_key: "other hooks" }, receipt: { accepted: ["elsewhere"], skipped: [] } },
    { body: { environment_key: "nobody's" }, receipt: nothing },
    { body: { environment_key: "hooks' OR '1'='1" }, receipt: nothing },
  ])("answers $body with who is refreshed and who is not, and why", async ({ body, receipt }) => {
    expect(receiptOf(await hint(body))).toEqual(receipt);
  });

  it("changes nothing for who is skipped", async () => {
    const ids = ["final", "draft", "planned"];
    const before = await Promise.all(ids.map(seenOf));
    await hint({ environment_key: "hooks" });
    expect(await Promise.all(ids.map(seenOf))).toEqual(before);
  });

  it("refreshes whom it accepted", async () => {
    const id = await running();
    const before = refreshesOf(id);
    await warehouse.insert([
      { environment_key: "env", feature_name: id, identifier: "ann", value: "a", timestamp: Date.now() - HOUR / 2 },
    ]);
    expect(receiptOf(await hint({ experiment_id: id }))).toEqual({ accepted: [id], skipped: [] });
    const { exposures } = await untilComputed(id);
    expect(exposures.total_identities).toBe(1);
    await until(
      () => refreshesOf(id),
      (refreshes) => refreshes === before + 1,
    );
  });

  describe("takes a signature", () => {
    const body = JSON.stringify({ environment_key: "nobody's" });
    const send = (headers: Record<string, string>) => post("/webhooks/refresh", body, headers);

    it.each([
      ["a little older than four minutes", -290_000],
      ["a little ahead of our clock", 290_000],
    ])("%s", async (_, offset) => {
      expect(receiptOf(await hint(body, { at: Date.now() + offset }))).toEqual(nothing);
    });

    it("that stands among others, as while a secret is changed", async () => {
      const signed = signStandard(body);
      const old = signStandard(body, { secret: `whsec_${btoa("old secret")}` })["webhook-signature"];
      const signatures = ["v1a,AAAA", "v1", old, signed["webhook-signature"]].join(" ");
      expect(receiptOf(await send({ ...signed, "webhook-signature": signatures }))).toEqual(nothing);
    });

    it("of a body beyond ASCII, byte for byte", async () => {
      expect(receiptOf(await hint('{ "environment_key" :\n "ключ 🧪 \\u00e9" }'))).toEqual(nothing);
    });
  });

  describe("refuses with 401", () => {
    let id: string;
    let body: string;
    beforeAll(async () => {
      id = await running();
      body = JSON.stringify({ experiment_id: id });
    });
    const good = () => signStandard(body);
    const without = (name: string) => Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name));

    it.each<[what: string, headers: () => Record<string, string>]>([
      ["no signature at all", () => ({})],
      ["no webhook-id", () => without("webhook-id")],
      ["no webhook-timestamp", () => without("webhook-timestamp")],
      ["no webhook-signature", () => without("webhook-signature")],
      ["an empty signature", () => ({ ...good(), "webhook-signature": "" })],
      [
        "a signature without its version",
        () => ({ ...good(), "webhook-signature": good()["webhook-signature"].slice(3) }),
      ],
      ["a version without its signature", () => ({ ...good(), "webhook-signature": "v1," })],
      [
        "an unknown version",
        () => ({ ...good(), "webhook-signature": good()["webhook-signature"].replace("v1", "v2") }),
      ],
      ["a signature that is cut", () => ({ ...good(), "webhook-signature": good()["webhook-signature"].slice(0, -1) })],
      ["the signature of another secret", () => signStandard(body, { secret: `whsec_${btoa("another secret")}` })],
      ["the signature of another body", () => signStandard(`${body} `)],
      ["the signature of another id", () => ({ ...good(), "webhook-id": randomUUID() })],
      [
        "a timestamp made newer",
        () => ({
          ...signStandard(body, { at: Date.now() - 400_000 }),
          "webhook-timestamp": `${Math.floor(Date.now() / 1000)}`,
        }),
      ],
      ["a timestamp more than five minutes old", () => signStandard(body, { at: Date.now() - 302_000 })],
      ["a timestamp more than five minutes ahead", () => signStandard(body, { at: Date.now() + 310_000 })],
      ["a timestamp in milliseconds", () => ({ ...good(), "webhook-timestamp": String(Date.now()) })],
      ["a timestamp that is none", () => ({ ...good(), "webhook-timestamp": "now" })],
    ])("%s, and changes nothing", async (_, headers) => {
      const before = await seenOf(id);
      expectRefused(await post("/webhooks/refresh", body, headers()), 401);
      expect(await seenOf(id)).toEqual(before);
    });

    it("a body that was changed under way", async () => {
      expectRefused(await post("/webhooks/refresh", body.replace(id, "open"), good()), 401);
    });

    it("before it looks at the body", async () => {
      expectRefused(await post("/webhooks/refresh", "{", {}), 401);
    });

    it("without using up the webhook's id", async () => {
      const delivery = randomUUID();
      const forged = signStandard(body, { id: delivery, secret: `whsec_${btoa("another secret")}` });
      expectRefused(await post("/webhooks/refresh", body, forged), 401);
      expect(receiptOf(await hint(body, { id: delivery }))).toEqual({ accepted: [id], skipped: [] });
    });
  });

  describe("given a webhook-id again", () => {
    it("changes nothing and says so", async () => {
      const id = await running();
      const delivery = randomUUID();
      expect(receiptOf(await hint({ experiment_id: id }, { id: delivery }))).toEqual({ accepted: [id], skipped: [] });
      await untilComputed(id);
      const before = await seenOf(id);
      const repeated = { accepted: [], skipped: [{ experiment_id: id, reason: "repeated" }] };
      for (const at of [Date.now(), Date.now() - 60_000]) {
        expect(receiptOf(await hint({ experiment_id: id }, { id: delivery, at }))).toEqual(repeated);
        expect(receiptOf(await hint({ environment_key: "env", feature_name: id }, { id: delivery, at }))).toEqual(
          repeated,
        );
      }
      expect(await seenOf(id)).toEqual(before);
    });

    it("still tells who would have been skipped anyway", async () => {
      const delivery = randomUUID();
      await hint({ environment_key: "hooks" }, { id: delivery });
      expect(receiptOf(await hint({ environment_key: "hooks" }, { id: delivery }))).toEqual({
        accepted: [],
        skipped: [
          ...environment.skipped,
          ...environment.accepted.map((experiment_id) => ({ experiment_id, reason: "repeated" })),
        ].sort(byId),
      });
    });

    it("accepts only one of many at once", async () => {
      const id = await running();
      const signing = { id: randomUUID() };
      const answers = await Promise.all(Array.from({ length: 6 }, () => hint({ experiment_id: id }, signing)));
      const accepted = answers.flatMap((answer) => receiptOf(answer).accepted);
      expect(accepted).toEqual([id]);
    });
  });

  it.each([
    ["JSON that is cut off", '{"experiment_id": "open"'],
    ["an empty body", ""],
    ["a list", [{ experiment_id: "open" }]],
    ["null", "null"],
    ["text", '"open"'],
    ["an empty object", {}],
    ["a feature without its environment", { feature_name: "button" }],
    ["two forms at once", { experiment_id: "open", environment_key: "hooks" }],
    ["an unknown key", { environment_key: "hooks", feature_name: "button", force: true }],
    ["an id that is a number", { experiment_id: 1 }],
    ["an empty id", { experiment_id: "" }],
    ["an environment that is null", { environment_key: null }],
    ["a feature that is null", { environment_key: "hooks", feature_name: null }],
  ])("refuses %s with 400, though signed", async (_, body) => {
    const answer = await hint(body);
    expectRefused(answer, 400);
    expect(answer.json.errors).toEqual(expect.any(Array));
  });

  it("refuses other than JSON with 415, though signed", async () => {
    const body = JSON.stringify({ experiment_id: "open" });
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      expectRefused(await post("/webhooks/refresh", body, { ...signStandard(body), "Content-Type": type }), 415);
    }
  });
});

describe("POST /webhooks/flagsmith/{environment_key}", () => {
  const state = (name: unknown) => ({
    enabled: true,
    environment: { id: 1 },
    feature: { id: 2, name },
    identity: null,
  });

  it.each([
    {
      what: "an updated flag",
      body: {
        event_type: "FLAG_UPDATED",
        data: { changed_by: "ann", new_state: state("button"), previous_state: null },
      },
      receipt: feature,
    },
    {
      what: "an updated flag with both states",
      body: { event_type: "FLAG_UPDATED", data: { new_state: state("button"), previous_state: state("slider") } },
      receipt: feature,
    },
    {
      what: "a deleted flag with its previous state",
      body: { event_type: "FLAG_DELETED", data: { previous_state: state("button") } },
      receipt: feature,
    },
    {
      what: "a deleted flag with a new state that is null",
      body: { event_type: "FLAG_DELETED", data: { new_state: null, previous_state: state("slider") } },
      receipt: { accepted: [], skipped: notStarted.slice(0, 1) },
    },
    {
      what: "a flag of no experiment",
      body: { event_type: "FLAG_UPDATED", data: { new_state: state("footer") } },
      receipt: nothing,
    },
    { what: "an audit log", body: { event_type: "AUDIT_LOG_CREATED", data: { log: "x" } }, receipt: environment },
    {
      what: "a published version",
      body: { event_type: "NEW_VERSION_PUBLISHED", data: { uuid: "x", feature: { id: 2 } } },
      receipt: environment,
    },
    { what: "any other event", body: { event_type: "SEGMENT_UPDATED", data: { id: 1 } }, receipt: nothing },
  ])("takes $what for what it is about", async ({ body, receipt }) => {
    expect(receiptOf(await flagsmith("hooks", body))).toEqual(receipt);
  });

  it("takes the environment from the path, whatever is in it", async () => {
    const key = "it's/an environment?";
    const id = await running(key);
    const body = { event_type: "AUDIT_LOG_CREATED", data: {} };
    expect(receiptOf(await flagsmith(key, body))).toEqual({ accepted: [id], skipped: [] });
    expect(receiptOf(await flagsmith("nobody's", body))).toEqual(nothing);
  });

  const quiet = JSON.stringify({ event_type: "SEGMENT_UPDATED", data: { name: "ключ 🧪" } });
  const send = (signature: string | undefined, body = quiet) =>
    post("/webhooks/flagsmith/hooks", body, signature === undefined ? {} : { "X-Flagsmith-Signature": signature });

  it("takes the signature in lower and upper case", async () => {
    expect(receiptOf(await send(signHex(quiet)))).toEqual(nothing);
    expect(receiptOf(await send(signHex(quiet).toUpperCase()))).toEqual(nothing);
  });

  it.each([
    ["no signature", undefined],
    ["an empty signature", ""],
    ["the signature of another secret", signHex(quiet, "another secret")],
    ["the signature of another body", signHex(`${quiet} `)],
    ["a signature that is cut", signHex(quiet).slice(0, -2)],
    ["a signature that is too long", `${signHex(quiet)}00`],
    ["a signature in base64", createHmac("sha256", FLAGSMITH_SECRET).update(quiet).digest("base64")],
    ["64 characters that are no hex", "z".repeat(64)],
  ])("refuses %s with 401", async (_, signature) => {
    expectRefused(await send(signature), 401);
  });

  it("refuses a Standard Webhooks signature with 401", async () => {
    expectRefused(await post("/webhooks/flagsmith/hooks", quiet, signStandard(quiet)), 401);
  });

  it.each([
    ["JSON that is cut off", '{"event_type":'],
    ["a list", []],
    ["null", "null"],
    ["no event_type", { data: {} }],
    ["an event_type that is a number", { event_type: 1, data: {} }],
    ["an updated flag without data", { event_type: "FLAG_UPDATED" }],
    ["an updated flag with null as data", { event_type: "FLAG_UPDATED", data: null }],
    ["an updated flag without states", { event_type: "FLAG_UPDATED", data: {} }],
    ["an updated flag without a feature", { event_type: "FLAG_UPDATED", data: { new_state: { enabled: true } } }],
    ["a feature without a name", { event_type: "FLAG_UPDATED", data: { new_state: { feature: { id: 1 } } } }],
    ["a feature whose name is a number", { event_type: "FLAG_UPDATED", data: { new_state: state(1) } }],
    ["a deleted flag without a feature", { event_type: "FLAG_DELETED", data: { previous_state: null } }],
  ])("refuses %s with 400, though signed", async (_, body) => {
    const answer = await flagsmith("hooks", body);
    expectRefused(answer, 400);
    expect(answer.json.errors).toEqual(expect.any(Array));
  });

  it("refuses other than JSON with 415, though signed", async () => {
    const headers = { "X-Flagsmith-Signature": signHex(quiet), "Content-Type": "text/plain" };
    expectRefused(await post("/webhooks/flagsmith/hooks", quiet, headers), 415);
  });
});

describe.each([
  { path: "/webhooks/refresh", sign: (body: string): Record<string, string> => signStandard(body) },
  {
    path: "/webhooks/flagsmith/hooks",
    sign: (body: string): Record<string, string> => ({ "X-Flagsmith-Signature": signHex(body) }),
  },
])("a body for $path", ({ path, sign }) => {
  const bodyOf = (bytes: number) => {
    const body = path.includes("flagsmith") ? { event_type: "OTHER", data: {} } : { environment_key: "nobody's" };
    return JSON.stringify(body).padEnd(bytes);
  };
  async function postInChunks(body: string): Promise<number> {
    const headers = { "Content-Type": "application/json", ...sign(body) };
    const stream = new Blob([body]).stream();
    const response = await worker.fetch(path, { method: "POST", headers, body: stream, duplex: "half" });
    await response.text();
    return response.status;
  }

  it("may have 1 MiB, declared or not", async () => {
    const body = bodyOf(MIB);
    expect(receiptOf(await post(path, body, sign(body)))).toEqual(nothing);
    expect(await postInChunks(body)).toBe(202);
  });

  it("is refused with 413 if it has more, declared or not", async () => {
    const body = bodyOf(MIB + 1);
    expectRefused(await post(path, body, sign(body)), 413);
    expect(await postInChunks(body)).toBe(413);
  });
});

describe("webhooks inside the minimum interval", () => {
  it("are put off to its end and become one, which sees all that was there when they came", async () => {
    const id = await running();
    const event = { environment_key: "env", feature_name: id, value: "a", timestamp: Date.now() - HOUR / 2 };
    const flag = { event_type: "FLAG_UPDATED", data: { new_state: { feature: { name: id } } } };
    const accepted = { accepted: [id], skipped: [] };
    const untilRefreshes = (count: number) =>
      until(
        () => refreshesOf(id),
        (refreshes) => refreshes >= count,
      );

    // The first is served at once.
    await untilRefreshes(1);
    const begin = Date.now();
    expect(receiptOf(await hint({ experiment_id: id }))).toEqual(accepted);
    await untilRefreshes(2);
    const first = await untilComputed(id);
    expect(Date.parse(first.computed_at) - begin).toBeLessThan(INTERVAL_MS);

    // Those that follow are not refused, and wait together.
    await warehouse.insert([{ ...event, identifier: "ann" }]);
    const answers = await Promise.all([
      hint({ experiment_id: id }),
      flagsmith("env", flag),
      hint({ environment_key: "env", feature_name: id }),
      flagsmith("env", flag),
      hint({ experiment_id: id }),
    ]);
    expect(Date.now() - begin).toBeLessThan(INTERVAL_MS);
    for (const answer of answers) expect(receiptOf(answer)).toEqual(accepted);
    const waiting = await worker.exposures(id);
    expect(waiting.refresh_requested_at).not.toBeNull();
    expect(waiting.exposures.total_identities).toBe(0);

    await untilRefreshes(3);
    const second = await untilComputed(id);
    expect(second.exposures.total_identities).toBe(1);
    expect(Date.parse(second.as_of) - begin).toBeGreaterThanOrEqual(INTERVAL_MS);

    // The next keeps its distance too; when it has come, all that the others could have led to would have been seen.
    await warehouse.insert([{ ...event, identifier: "bob" }]);
    expect(receiptOf(await hint({ experiment_id: id }))).toEqual(accepted);
    await untilRefreshes(4);
    const third = await untilComputed(id);
    expect(third.exposures.total_identities).toBe(2);
    expect(Date.parse(third.as_of) - Date.parse(second.as_of)).toBeGreaterThanOrEqual(INTERVAL_MS - 100);
    expect(refreshesOf(id)).toBe(4);
  });
});
