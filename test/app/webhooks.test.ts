import { createHmac, randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { FLAGSMITH_SECRET, startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

const INTERVAL_MS = 5000;

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

/** Sends no bearer token, because the signature authenticates a webhook. */
const post = (path: string, body: unknown, headers: Record<string, string>) =>
  worker.call("POST", path, textOf(body), { Authorization: "", ...headers });

/** Sends a Standard Webhook with a valid signature. */
const sendRefresh = (body: unknown, signing?: Signing) =>
  post("/webhooks/refresh", body, signStandard(textOf(body), signing));

/** Sends a Flagsmith webhook with a valid signature. */
const sendFlagsmith = (environment: string, body: unknown) =>
  post(`/webhooks/flagsmith/${encodeURIComponent(environment)}`, body, {
    "X-Flagsmith-Signature": signHex(textOf(body)),
  });

type ApiResponse = Awaited<ReturnType<typeof post>>;

function expectRejected(response: ApiResponse, status: number) {
  expect(response.status).toBe(status);
  expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
  expect(response.json).toMatchObject({ status });
  expect(response.headers.has("WWW-Authenticate")).toBe(status === 401);
}

const byId = (a: { experiment_id: string }, b: { experiment_id: string }) =>
  a.experiment_id < b.experiment_id ? -1 : 1;

/** The receipt, with its lists sorted by id. */
function receiptOf(response: ApiResponse) {
  expect(response.status).toBe(202);
  const { accepted, skipped, ...rest } = response.json;
  expect(rest).toEqual({});
  return { accepted: [...accepted].sort(), skipped: [...skipped].sort(byId) };
}

async function put(id: string, environment_key: string, feature_name: string, times: object) {
  const response = await worker.call("PUT", `/v1/experiments/${id}`, { environment_key, feature_name, ...times });
  expect(response.status).toBeLessThan(300);
}

const untilComputed = (id: string) =>
  until(
    () => worker.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

let count = 0;
/** Creates a running experiment with a feature of the same name, waits for its first refresh, and returns its id. */
async function createRunning(environment = "env"): Promise<string> {
  count += 1;
  const id = `running-${count}`;
  await put(id, environment, id, { started_at: fromNow(-HOUR) });
  await untilComputed(id);
  return id;
}

const snapshotOf = async (id: string) => {
  const { text, headers } = await worker.call("GET", `/v1/experiments/${id}/exposures`);
  return { text, etag: headers.get("ETag") };
};

const refreshesOf = (id: string) =>
  worker.logs().filter(({ event, experiment_id }) => event === "refresh.succeeded" && experiment_id === id).length;

// The environment `hooks` has an experiment in every status. Those of one feature follow one another.
beforeAll(async () => {
  await put("final", "hooks", "button", { started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) });
  await put("ended", "hooks", "button", { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-1000) });
  await put("open", "hooks", "button", { started_at: fromNow(-1000) });
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
    { body: { environment_key: "unknown" }, receipt: nothing },
    { body: { environment_key: "hooks' OR '1'='1" }, receipt: nothing },
  ])("returns the accepted and skipped experiments for $body", async ({ body, receipt }) => {
    expect(receiptOf(await sendRefresh(body))).toEqual(receipt);
  });

  it("leaves skipped experiments unchanged", async () => {
    const ids = ["final", "draft", "planned"];
    const before = await Promise.all(ids.map(snapshotOf));
    await sendRefresh({ environment_key: "hooks" });
    expect(await Promise.all(ids.map(snapshotOf))).toEqual(before);
  });

  it("refreshes accepted experiments", async () => {
    const id = await createRunning();
    const before = refreshesOf(id);
    await warehouse.insert([
      { environment_key: "env", feature_name: id, identifier: "ann", value: "a", timestamp: Date.now() - HOUR / 2 },
    ]);
    expect(receiptOf(await sendRefresh({ experiment_id: id }))).toEqual({ accepted: [id], skipped: [] });
    const { exposures } = await untilComputed(id);
    expect(exposures.total_identities).toBe(1);
    await until(
      () => refreshesOf(id),
      (refreshes) => refreshes === before + 1,
    );
  });

  describe("a valid signature", () => {
    const body = JSON.stringify({ environment_key: "unknown" });
    const send = (headers: Record<string, string>) => post("/webhooks/refresh", body, headers);

    it.each([
      ["almost five minutes old", -290_000],
      ["almost five minutes ahead", 290_000],
    ])("is accepted if it is %s", async (_, offset) => {
      expect(receiptOf(await sendRefresh(body, { at: Date.now() + offset }))).toEqual(nothing);
    });

    it("is accepted among others, as during a change of the secret", async () => {
      const signed = signStandard(body);
      const old = signStandard(body, { secret: `whsec_${btoa("old secret")}` })["webhook-signature"];
      const signatures = ["v1a,AAAA", "v1", old, signed["webhook-signature"]].join(" ");
      expect(receiptOf(await send({ ...signed, "webhook-signature": signatures }))).toEqual(nothing);
    });

    it("covers a non-ASCII body byte for byte", async () => {
      expect(receiptOf(await sendRefresh('{ "environment_key" :\n "ключ 🧪 \\u00e9" }'))).toEqual(nothing);
    });
  });

  describe("an invalid signature", () => {
    let id: string;
    let body: string;
    beforeAll(async () => {
      id = await createRunning();
      body = JSON.stringify({ experiment_id: id });
    });
    const validHeaders = () => signStandard(body);
    const without = (name: string) =>
      Object.fromEntries(Object.entries(validHeaders()).filter(([key]) => key !== name));

    it.each<[description: string, headers: () => Record<string, string>]>([
      ["no headers at all", () => ({})],
      ["no webhook-id", () => without("webhook-id")],
      ["no webhook-timestamp", () => without("webhook-timestamp")],
      ["no webhook-signature", () => without("webhook-signature")],
      ["an empty signature", () => ({ ...validHeaders(), "webhook-signature": "" })],
      [
        "a signature without its version",
        () => ({ ...validHeaders(), "webhook-signature": validHeaders()["webhook-signature"].slice(3) }),
      ],
      ["a version without its signature", () => ({ ...validHeaders(), "webhook-signature": "v1," })],
      [
        "an unknown version",
        () => ({ ...validHeaders(), "webhook-signature": validHeaders()["webhook-signature"].replace("v1", "v2") }),
      ],
      [
        "a truncated signature",
        () => ({ ...validHeaders(), "webhook-signature": validHeaders()["webhook-signature"].slice(0, -1) }),
      ],
      ["the signature of another secret", () => signStandard(body, { secret: `whsec_${btoa("another secret")}` })],
      ["the signature of another body", () => signStandard(`${body} `)],
      ["the signature of another id", () => ({ ...validHeaders(), "webhook-id": randomUUID() })],
      [
        "a timestamp changed to a newer one",
        () => ({
          ...signStandard(body, { at: Date.now() - 400_000 }),
          "webhook-timestamp": `${Math.floor(Date.now() / 1000)}`,
        }),
      ],
      ["a timestamp more than five minutes old", () => signStandard(body, { at: Date.now() - 302_000 })],
      ["a timestamp more than five minutes ahead", () => signStandard(body, { at: Date.now() + 310_000 })],
      ["a timestamp in milliseconds", () => ({ ...validHeaders(), "webhook-timestamp": String(Date.now()) })],
      ["a timestamp that is not a number", () => ({ ...validHeaders(), "webhook-timestamp": "now" })],
    ])("is rejected with 401 and changes nothing: %s", async (_, headers) => {
      const before = await snapshotOf(id);
      expectRejected(await post("/webhooks/refresh", body, headers()), 401);
      expect(await snapshotOf(id)).toEqual(before);
    });

    it("is rejected with 401 after the body was changed", async () => {
      expectRejected(await post("/webhooks/refresh", body.replace(id, "open"), validHeaders()), 401);
    });

    it("is rejected with 401 before the body is parsed", async () => {
      expectRejected(await post("/webhooks/refresh", "{", {}), 401);
    });

    it("does not use up the webhook-id", async () => {
      const delivery = randomUUID();
      const forged = signStandard(body, { id: delivery, secret: `whsec_${btoa("another secret")}` });
      expectRejected(await post("/webhooks/refresh", body, forged), 401);
      expect(receiptOf(await sendRefresh(body, { id: delivery }))).toEqual({ accepted: [id], skipped: [] });
    });
  });

  describe("a repeated webhook-id", () => {
    it("changes nothing, and is reported as repeated", async () => {
      const id = await createRunning();
      const delivery = randomUUID();
      expect(receiptOf(await sendRefresh({ experiment_id: id }, { id: delivery }))).toEqual({
        accepted: [id],
        skipped: [],
      });
      await untilComputed(id);
      const before = await snapshotOf(id);
      const repeated = { accepted: [], skipped: [{ experiment_id: id, reason: "repeated" }] };
      for (const at of [Date.now(), Date.now() - 60_000]) {
        expect(receiptOf(await sendRefresh({ experiment_id: id }, { id: delivery, at }))).toEqual(repeated);
        expect(
          receiptOf(await sendRefresh({ environment_key: "env", feature_name: id }, { id: delivery, at })),
        ).toEqual(repeated);
      }
      expect(await snapshotOf(id)).toEqual(before);
    });

    it("still reports the experiments that are skipped anyway", async () => {
      const delivery = randomUUID();
      await sendRefresh({ environment_key: "hooks" }, { id: delivery });
      expect(receiptOf(await sendRefresh({ environment_key: "hooks" }, { id: delivery }))).toEqual({
        accepted: [],
        skipped: [
          ...environment.skipped,
          ...environment.accepted.map((experiment_id) => ({ experiment_id, reason: "repeated" })),
        ].sort(byId),
      });
    });

    it("is accepted once among concurrent webhooks", async () => {
      const id = await createRunning();
      const signing = { id: randomUUID() };
      const responses = await Promise.all(Array.from({ length: 6 }, () => sendRefresh({ experiment_id: id }, signing)));
      const accepted = responses.flatMap((response) => receiptOf(response).accepted);
      expect(accepted).toEqual([id]);
    });
  });

  it.each([
    ["truncated JSON", '{"experiment_id": "open"'],
    ["an empty body", ""],
    ["a list", [{ experiment_id: "open" }]],
    ["null", "null"],
    ["a string", '"open"'],
    ["an empty object", {}],
    ["a feature without its environment", { feature_name: "button" }],
    ["two forms at once", { experiment_id: "open", environment_key: "hooks" }],
    ["an unknown key", { environment_key: "hooks", feature_name: "button", force: true }],
    ["an id that is a number", { experiment_id: 1 }],
    ["an empty id", { experiment_id: "" }],
    ["an environment that is null", { environment_key: null }],
    ["a feature that is null", { environment_key: "hooks", feature_name: null }],
  ])("returns 400 for %s, even when signed", async (_, body) => {
    const response = await sendRefresh(body);
    expectRejected(response, 400);
    expect(response.json.errors).toEqual(expect.any(Array));
  });

  it("returns 415 for other content types, even when signed", async () => {
    const body = JSON.stringify({ experiment_id: "open" });
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      expectRejected(await post("/webhooks/refresh", body, { ...signStandard(body), "Content-Type": type }), 415);
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
      event: "an updated flag",
      body: {
        event_type: "FLAG_UPDATED",
        data: { changed_by: "ann", new_state: state("button"), previous_state: null },
      },
      receipt: feature,
    },
    {
      event: "an updated flag with both states",
      body: { event_type: "FLAG_UPDATED", data: { new_state: state("button"), previous_state: state("slider") } },
      receipt: feature,
    },
    {
      event: "a deleted flag with its previous state",
      body: { event_type: "FLAG_DELETED", data: { previous_state: state("button") } },
      receipt: feature,
    },
    {
      event: "a deleted flag with a null new state",
      body: { event_type: "FLAG_DELETED", data: { new_state: null, previous_state: state("slider") } },
      receipt: { accepted: [], skipped: notStarted.slice(0, 1) },
    },
    {
      event: "a flag without an experiment",
      body: { event_type: "FLAG_UPDATED", data: { new_state: state("footer") } },
      receipt: nothing,
    },
    { event: "an audit log", body: { event_type: "AUDIT_LOG_CREATED", data: { log: "x" } }, receipt: environment },
    {
      event: "a published version",
      body: { event_type: "NEW_VERSION_PUBLISHED", data: { uuid: "x", feature: { id: 2 } } },
      receipt: environment,
    },
    { event: "any other event", body: { event_type: "SEGMENT_UPDATED", data: { id: 1 } }, receipt: nothing },
  ])("requests refreshes of the experiments that $event concerns", async ({ body, receipt }) => {
    expect(receiptOf(await sendFlagsmith("hooks", body))).toEqual(receipt);
  });

  it("reads the environment from the path, whatever characters it contains", async () => {
    const key = "it's/an environment?";
    const id = await createRunning(key);
    const body = { event_type: "AUDIT_LOG_CREATED", data: {} };
    expect(receiptOf(await sendFlagsmith(key, body))).toEqual({ accepted: [id], skipped: [] });
    expect(receiptOf(await sendFlagsmith("unknown", body))).toEqual(nothing);
  });

  const ignoredEvent = JSON.stringify({ event_type: "SEGMENT_UPDATED", data: { name: "ключ 🧪" } });
  const send = (signature: string | undefined, body = ignoredEvent) =>
    post("/webhooks/flagsmith/hooks", body, signature === undefined ? {} : { "X-Flagsmith-Signature": signature });

  it("accepts the signature in lower and upper case", async () => {
    expect(receiptOf(await send(signHex(ignoredEvent)))).toEqual(nothing);
    expect(receiptOf(await send(signHex(ignoredEvent).toUpperCase()))).toEqual(nothing);
  });

  it.each([
    ["no signature", undefined],
    ["an empty signature", ""],
    ["the signature of another secret", signHex(ignoredEvent, "another secret")],
    ["the signature of another body", signHex(`${ignoredEvent} `)],
    ["a truncated signature", signHex(ignoredEvent).slice(0, -2)],
    ["a signature that is too long", `${signHex(ignoredEvent)}00`],
    ["a signature in base64", createHmac("sha256", FLAGSMITH_SECRET).update(ignoredEvent).digest("base64")],
    ["64 characters that are not hexadecimal", "z".repeat(64)],
  ])("returns 401 for %s", async (_, signature) => {
    expectRejected(await send(signature), 401);
  });

  it("returns 401 for a Standard Webhooks signature", async () => {
    expectRejected(await post("/webhooks/flagsmith/hooks", ignoredEvent, signStandard(ignoredEvent)), 401);
  });

  it.each([
    ["truncated JSON", '{"event_type":'],
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
  ])("returns 400 for %s, even when signed", async (_, body) => {
    const response = await sendFlagsmith("hooks", body);
    expectRejected(response, 400);
    expect(response.json.errors).toEqual(expect.any(Array));
  });

  it("returns 415 for other content types, even when signed", async () => {
    const headers = { "X-Flagsmith-Signature": signHex(ignoredEvent), "Content-Type": "text/plain" };
    expectRejected(await post("/webhooks/flagsmith/hooks", ignoredEvent, headers), 415);
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
    const body = path.includes("flagsmith") ? { event_type: "OTHER", data: {} } : { environment_key: "unknown" };
    return JSON.stringify(body).padEnd(bytes);
  };
  async function postInChunks(body: string): Promise<number> {
    const headers = { "Content-Type": "application/json", ...sign(body) };
    const stream = new Blob([body]).stream();
    const response = await worker.fetch(path, { method: "POST", headers, body: stream, duplex: "half" });
    await response.text();
    return response.status;
  }

  it("is accepted up to 1 MiB, with or without a Content-Length", async () => {
    const body = bodyOf(MIB);
    expect(receiptOf(await post(path, body, sign(body)))).toEqual(nothing);
    expect(await postInChunks(body)).toBe(202);
  });

  it("is rejected with 413 above 1 MiB, with or without a Content-Length", async () => {
    const body = bodyOf(MIB + 1);
    expectRejected(await post(path, body, sign(body)), 413);
    expect(await postInChunks(body)).toBe(413);
  });
});

describe("webhooks within the minimum interval", () => {
  it("are postponed to its end and share one refresh, which sees all events before them", async () => {
    const id = await createRunning();
    const event = { environment_key: "env", feature_name: id, value: "a", timestamp: Date.now() - HOUR / 2 };
    const flag = { event_type: "FLAG_UPDATED", data: { new_state: { feature: { name: id } } } };
    const accepted = { accepted: [id], skipped: [] };
    const untilRefreshes = (expected: number) =>
      until(
        () => refreshesOf(id),
        (refreshes) => refreshes >= expected,
      );

    // The first webhook is served at once.
    await untilRefreshes(1);
    const begin = Date.now();
    expect(receiptOf(await sendRefresh({ experiment_id: id }))).toEqual(accepted);
    await untilRefreshes(2);
    const first = await untilComputed(id);
    expect(Date.parse(first.computed_at) - begin).toBeLessThan(INTERVAL_MS);

    // The next webhooks are accepted, and wait for one refresh.
    await warehouse.insert([{ ...event, identifier: "ann" }]);
    const responses = await Promise.all([
      sendRefresh({ experiment_id: id }),
      sendFlagsmith("env", flag),
      sendRefresh({ environment_key: "env", feature_name: id }),
      sendFlagsmith("env", { ...flag, timestamp: "2026-06-01T00:00:00Z" }),
      sendRefresh({ experiment_id: id }),
    ]);
    expect(Date.now() - begin).toBeLessThan(INTERVAL_MS);
    for (const response of responses) expect(receiptOf(response)).toEqual(accepted);
    const waiting = await worker.exposures(id);
    expect(waiting.refresh_requested_at).not.toBeNull();
    expect(waiting.exposures.total_identities).toBe(0);

    await untilRefreshes(3);
    const second = await untilComputed(id);
    expect(second.exposures.total_identities).toBe(1);
    expect(Date.parse(second.as_of) - begin).toBeGreaterThanOrEqual(INTERVAL_MS);

    // The last webhook is postponed too. Any further refresh for the earlier ones would have run by its end.
    await warehouse.insert([{ ...event, identifier: "bob" }]);
    expect(receiptOf(await sendRefresh({ experiment_id: id }))).toEqual(accepted);
    await untilRefreshes(4);
    const third = await untilComputed(id);
    expect(third.exposures.total_identities).toBe(2);
    expect(Date.parse(third.as_of) - Date.parse(second.as_of)).toBeGreaterThanOrEqual(INTERVAL_MS - 100);
    expect(refreshesOf(id)).toBe(4);
  });
});
