import { describe, expect, it } from "vitest";
import type * as z from "zod/mini";
import { flagsmithWebhookBody } from "../../src/flagsmith/webhook.ts";
import { parseInput } from "../../src/http/body.ts";
import type { InputError } from "../../src/http/problem.ts";
import {
  apiKeyBody,
  EXPORT_FORMAT,
  experimentBody,
  experimentId,
  exportedExperiment,
  listQuery,
  refreshWebhookBody,
} from "../../src/http/schemas.ts";

function accepted<Schema extends z.ZodMiniType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = parseInput(schema, value);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure));
  return parsed.value;
}

/** The errors of an invalid value. Each message completes a sentence that starts with the path. */
function refused(schema: z.ZodMiniType, value: unknown): InputError[] {
  const parsed = parseInput(schema, value);
  if (parsed.ok || parsed.failure.kind !== "invalid_input") throw new Error("The value was accepted.");
  for (const { message } of parsed.failure.errors) expect(message).toMatch(/^(must|needs|is) [^\n]{4,}$/);
  return parsed.failure.errors;
}

const HALF_A_PAIR = "half \ud83e";
const AT = "2026-06-01T00:00:00Z";
const valid = { environment_key: "env", feature_name: "button" };
const at = (time: unknown) => ({ ...valid, started_at: time });
const purchases = { key: "purchase", event: "purchase", aggregation: "sum", expected_direction: "increase" };
const metrics = (...list: unknown[]) => ({ ...valid, metrics: list });
const variants = (...list: unknown[]) => ({ ...valid, variants: list });

type Refusal = [what: string, body: unknown, path: string, message: RegExp];
const numbered = (count: number) => Array.from({ length: count }, (_, index) => ({ ...purchases, key: `m${index}` }));

describe("experimentBody", () => {
  it("requires only the environment and the feature; there are no variants and metrics by default, and omitted times stay omitted", () => {
    expect(accepted(experimentBody, valid)).toEqual({ ...valid, variants: [], metrics: [] });
  });

  it("keeps all values, and converts times to epoch milliseconds", () => {
    const body = {
      ...valid,
      name: "Checkout 🧪",
      variants: [
        { key: "control", weight: 0 },
        { key: "treatment", weight: 0.5 },
      ],
      metrics: [{ ...purchases, name: "Purchases", conversion_window_hours: 8_760, lookback_days: 90 }],
    };
    const times = { started_at: "2026-06-01T00:00:00Z", ended_at: "2026-06-01T00:00:00.001Z" };
    const start = Date.UTC(2026, 5, 1);
    expect(accepted(experimentBody, { ...body, ...times })).toEqual({
      ...body,
      started_at: start,
      ended_at: start + 1,
    });
  });

  it.each([
    { metrics: numbered(20) },
    { metrics: [{ ...purchases, key: "k".repeat(64), event: "\"'`\\ \u{1F9EA}\n--", name: "__proto__" }] },
    { metrics: [{ ...purchases, key: "__proto__", conversion_window_hours: 1 }] },
    { metrics: [{ ...purchases, event: "$FLAG_EXPOSURE", lookback_days: 90 }] },
  ])("accepts $metrics", ({ metrics }) => {
    const expected = metrics.map((metric) => ({ conversion_window_hours: null, lookback_days: 0, ...metric }));
    expect(accepted(experimentBody, { ...valid, metrics }).metrics).toEqual(expected);
  });

  it("accepts null as a time", () => {
    const open = accepted(experimentBody, { ...valid, started_at: null, ended_at: null });
    expect(open).toMatchObject({ started_at: null, ended_at: null });
  });

  it.each([
    ["1970-01-01T00:00:00Z", 0],
    ["2026-06-01T00:00:00.1Z", Date.UTC(2026, 5, 1) + 100],
    ["2026-06-01T00:00:00.120Z", Date.UTC(2026, 5, 1) + 120],
    ["2299-12-31T23:59:59.999Z", Date.UTC(2300, 0) - 1],
  ])("accepts the start %s", (time, expected) => {
    expect(accepted(experimentBody, at(time)).started_at).toBe(expected);
  });

  it.each<Refusal>([
    ["no environment", { feature_name: "f" }, "environment_key", /must be a string/],
    ["an empty feature", { ...valid, feature_name: "" }, "feature_name", /empty/],
    ["a number as the name", { ...valid, name: 1 }, "name", /must be a string/],
    ["null as the name", { ...valid, name: null }, "name", /must be a string/],
    ["an empty name", { ...valid, name: "" }, "name", /empty/],
    ["half a surrogate pair", { ...valid, name: HALF_A_PAIR }, "name", /surrogate/],
    ["a NUL, which SQLite would truncate", { ...valid, environment_key: "a\0b" }, "environment_key", /NUL/],
    ["an unknown key", { ...valid, colour: "red" }, "colour", /unknown/],
    ["variants that are not a list", { ...valid, variants: {} }, "variants", /must be an array/],
    ["null as variants", { ...valid, variants: null }, "variants", /must be an array/],
    ["a variant that is text", variants("a"), "variants.0", /object with key and weight/],
    ["a variant that is null", variants(null), "variants.0", /object with key and weight/],
    ["a variant without a key", variants({ weight: 1 }), "variants.0.key", /must be a string/],
    ["a variant with an empty key", variants({ key: "", weight: 1 }), "variants.0.key", /empty/],
    ["half a surrogate pair in a key", variants({ key: HALF_A_PAIR, weight: 1 }), "variants.0.key", /surrogate/],
    ["a weight as text", variants({ key: "a", weight: "1" }), "variants.0.weight", /number/],
    ["an infinite weight", variants({ key: "a", weight: Infinity }), "variants.0.weight", /number/],
    ["a negative weight", variants({ key: "a", weight: -0.1 }), "variants.0.weight", /negative/],
    ["an unknown key in a variant", variants({ key: "a", weight: 1, name: "A" }), "variants.0.name", /unknown/],
    ["metrics that are not a list", { ...valid, metrics: {} }, "metrics", /must be an array/],
    ["null as metrics", { ...valid, metrics: null }, "metrics", /must be an array/],
    ["a metric that is null", metrics(purchases, null), "metrics.1", /object with key, event/],
    ["more than 20 metrics", metrics(...numbered(21)), "metrics", /20/],
    ["a metric that is text", metrics("a"), "metrics.0", /object with key, event/],
    ["a metric's key with a space", metrics({ ...purchases, key: "a b" }), "metrics.0.key", /1 to 64/],
    ["a metric without a key", metrics({ ...purchases, key: undefined }), "metrics.0.key", /1 to 64/],
    ["a metric's key of 65 characters", metrics({ ...purchases, key: "k".repeat(65) }), "metrics.0.key", /1 to 64/],
    ["a metric's key that is a number", metrics({ ...purchases, key: 1 }), "metrics.0.key", /1 to 64/],
    ["an empty name of a metric", metrics({ ...purchases, name: "" }), "metrics.0.name", /empty/],
    ["null as a metric's name", metrics({ ...purchases, name: null }), "metrics.0.name", /must be a string/],
    ["a key twice", metrics(purchases, { ...purchases, event: "b" }), "metrics.1.key", /unique/],
    ["an empty event", metrics({ ...purchases, event: "" }), "metrics.0.event", /empty/],
    ["a metric without an event", metrics({ ...purchases, event: undefined }), "metrics.0.event", /must be a string/],
    ["an event with a NUL", metrics({ ...purchases, event: "a\0" }), "metrics.0.event", /NUL/],
    [
      "half a surrogate pair in an event",
      metrics({ ...purchases, event: HALF_A_PAIR }),
      "metrics.0.event",
      /surrogate/,
    ],
    ["exposures as event", metrics({ ...purchases, event: "$flag_exposure" }), "metrics.0.event", /event of exposures/],
    ["an unknown aggregation", metrics({ ...purchases, aggregation: "max" }), "metrics.0.aggregation", /occurrence/],
    [
      "an unknown direction",
      metrics({ ...purchases, expected_direction: "up" }),
      "metrics.0.expected_direction",
      /not_increase/,
    ],
    ["a list as aggregation", metrics({ ...purchases, aggregation: ["sum"] }), "metrics.0.aggregation", /occurrence/],
    ...[0, -1, 8_761, 1.5, "1", true, [1], Infinity].map(
      (hours): Refusal => [
        `a window of ${JSON.stringify(hours)} hours`,
        metrics({ ...purchases, conversion_window_hours: hours }),
        "metrics.0.conversion_window_hours",
        /1 to 8760/,
      ],
    ),
    ...[-1, 91, 0.5, null, "7", Infinity].map(
      (days): Refusal => [
        `a look-back of ${days} days`,
        metrics({ ...purchases, lookback_days: days }),
        "metrics.0.lookback_days",
        /0 to 90/,
      ],
    ),
    ["an unknown key in a metric", metrics({ ...purchases, goal: 1 }), "metrics.0.goal", /unknown/],
    ["a time with an offset", at("2026-06-01T02:00:00+02:00"), "started_at", /UTC/],
    ["a time without a zone", at("2026-06-01T00:00:00"), "started_at", /UTC/],
    ["a date", at("2026-06-01"), "started_at", /ISO 8601/],
    ["a day that does not exist", at("2026-02-29T00:00:00Z"), "started_at", /ISO 8601/],
    ["a number as a time", at(0), "started_at", /ISO 8601/],
    ["a time finer than milliseconds", at("2026-06-01T00:00:00.0001Z"), "started_at", /milliseconds/],
    ["a time before 1970", at("1969-12-31T23:59:59.999Z"), "started_at", /1970/],
    ["a time after 2299", at("2300-01-01T00:00:00Z"), "started_at", /2299/],
    ["an end without a start", { ...valid, ended_at: "2026-06-01T00:00:00Z" }, "ended_at", /started_at before it/],
    [
      "an end at the start",
      { ...at("2026-06-01T00:00:00Z"), ended_at: "2026-06-01T00:00:00Z" },
      "ended_at",
      /after started_at/,
    ],
    [
      "an end before the start",
      { ...at("2026-06-02T00:00:00Z"), ended_at: "2026-06-01T00:00:00Z" },
      "ended_at",
      /after started_at/,
    ],
    [
      "an invalid start with a valid end",
      { ...at("soon"), ended_at: "2026-06-01T00:00:00Z" },
      "started_at",
      /ISO 8601/,
    ],
    [
      "epoch milliseconds as text, after the end",
      { ...at("9999999999999"), ended_at: "2026-06-01T00:00:00Z" },
      "started_at",
      /ISO 8601/,
    ],
    ["an invalid end with a valid start", { ...at("2026-06-01T00:00:00Z"), ended_at: "late" }, "ended_at", /ISO 8601/],
    ["an invalid end without a start", { ...valid, ended_at: "late" }, "ended_at", /ISO 8601/],
  ])("reports exactly one error for %s", (_, body, path, message) => {
    expect(refused(experimentBody, body)).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it("reports each variant whose key repeats an earlier one", () => {
    const list = ["a", "b", "a", "b", "a", "c"].map((key) => ({ key, weight: 1 }));
    expect(refused(experimentBody, variants(...list))).toEqual(
      [2, 3, 4].map((index) => ({ path: `variants.${index}.key`, message: "must be unique" })),
    );
  });
});

describe("experimentId", () => {
  it.each(["a", "Z", "0", "...", ".a", "..a", "_", "-", "checkout-CTA_2.0", "a".repeat(64)])("accepts %s", (id) => {
    expect(accepted(experimentId, id)).toBe(id);
  });

  it.each(["", "a".repeat(65), "a b", " a", "a ", "a/b", "é", "a\n", "\na", "a:b"])("rejects %j", (id) => {
    expect(refused(experimentId, id)).toEqual([{ path: "", message: expect.stringContaining("1 to 64") }]);
  });

  it.each([".", ".."])("rejects %j, which no URL can contain", (id) => {
    const message = "must be 1 to 64 of A-Z a-z 0-9 . _ -, and neither . nor ..";
    expect(refused(experimentId, id)).toEqual([{ path: "", message }]);
    expect(refused(exportedExperiment, { ...valid, id, created_at: AT, updated_at: AT })).toEqual([
      { path: "id", message },
    ]);
    expect(accepted(experimentBody, metrics({ ...purchases, key: id })).metrics[0]?.key).toBe(id);
    // An earlier version may have stored such an id at the end of a page.
    expect(accepted(listQuery, { cursor: id }).cursor).toBe(id);
  });
});

describe("exportedExperiment", () => {
  const T0 = "2026-06-01T00:00:00Z";
  const line = { ...valid, id: "a", created_at: T0, updated_at: T0 };
  const none = {
    variants: [],
    metrics: [],
    results: null,
    started_at: null,
    ended_at: null,
    as_of: null,
    computed_at: null,
    last_error_at: null,
    weights_changed_at: null,
  };

  it("requires an experiment with its id and times; there are no numbers by default, and they are not final", () => {
    const times = { created_at: Date.parse(T0), updated_at: Date.parse(T0) };
    expect(accepted(exportedExperiment, line)).toEqual({
      ...line,
      ...times,
      source: "api",
      ...none,
      is_final: false,
      exposures: null,
    });
  });

  it("accepts the format that an export has", () => {
    expect(accepted(exportedExperiment, { ...line, format: EXPORT_FORMAT })).toMatchObject({ id: "a" });
  });

  it("accepts any numbers", () => {
    const numbers = { as_of: T0, computed_at: T0, last_error_at: T0, is_final: true, exposures: { any: [1] } };
    const time = Date.parse(T0);
    const times = { as_of: time, computed_at: time, last_error_at: time };
    expect(accepted(exportedExperiment, { ...line, ...numbers })).toMatchObject({ ...numbers, ...times });
  });

  it.each<[what: string, part: object, path: string, message: RegExp]>([
    ["an invalid id", { id: "a b" }, "id", /1 to 64/],
    ["no id", { id: undefined }, "id", /1 to 64/],
    ["no creation time", { created_at: undefined }, "created_at", /ISO 8601/],
    ["null as the time of the last change", { updated_at: null }, "updated_at", /ISO 8601/],
    ["a number as as_of", { as_of: 0 }, "as_of", /ISO 8601/],
    ["text as is_final", { is_final: "yes" }, "is_final", /true or false/],
    ["an end at the start", { started_at: T0, ended_at: T0 }, "ended_at", /after started_at/],
    ["a status", { status: "running" }, "status", /unknown/],
    ["a later format", { format: 2 }, "format", /must be 1/],
    ["results that are a number", { results: 1 }, "results", /must be an object/],
  ])("reports exactly one error for %s", (_, part, path, message) => {
    expect(refused(exportedExperiment, { ...line, ...part })).toEqual([
      { path, message: expect.stringMatching(message) },
    ]);
  });
});

describe("apiKeyBody", () => {
  it.each(["read", "write"])(
    "requires only a name and a role; a %s key has all environments and no expiry by default",
    (role) => {
      const body = { name: "CI", role };
      expect(accepted(apiKeyBody, body)).toEqual({ ...body, environment_key: null, expires_at: null });
    },
  );

  it("accepts an environment and an expiry", () => {
    const body = { name: "CI", role: "read", environment_key: "env", expires_at: "2026-06-01T00:00:00Z" };
    expect(accepted(apiKeyBody, body)).toEqual({ ...body, expires_at: Date.UTC(2026, 5, 1) });
  });

  it.each<[what: string, part: object, path: string, message: RegExp]>([
    ["no name", { name: undefined }, "name", /must be a string/],
    ["a NUL in the name", { name: "a\0b" }, "name", /NUL/],
    ["no role", { role: undefined }, "role", /^must be one of read, write$/],
    ["the role admin", { role: "admin" }, "role", /^must be one of read, write$/],
    ["an empty environment", { environment_key: "" }, "environment_key", /empty/],
    ["an invalid expiry", { expires_at: "never" }, "expires_at", /ISO 8601/],
    ["a key chosen by the caller", { key: "ee_" }, "key", /unknown/],
  ])("reports exactly one error for %s", (_, part, path, message) => {
    expect(refused(apiKeyBody, { name: "CI", role: "read", ...part })).toEqual([
      { path, message: expect.stringMatching(message) },
    ]);
  });
});

it.each([
  { name: "experimentBody", schema: experimentBody },
  { name: "exportedExperiment", schema: exportedExperiment },
  { name: "apiKeyBody", schema: apiKeyBody },
])("$name says that anything but an object must be one", ({ schema }) => {
  for (const value of [null, 1, "text", [], true])
    expect(refused(schema, value)).toEqual([{ path: "", message: "must be an object" }]);
});

describe("listQuery", () => {
  it("has a limit of 50 and no filter by default", () => {
    expect(accepted(listQuery, {})).toEqual({ limit: 50 });
  });

  it.each(["1", "9", "10", "200", "007"])("accepts the limit %s", (limit) => {
    expect(accepted(listQuery, { limit }).limit).toBe(Number(limit));
  });

  it.each(["draft", "running", "completed"])("accepts the status %s with an environment and a cursor", (status) => {
    const query = { environment_key: "env", status, cursor: "checkout-cta" };
    expect(accepted(listQuery, query)).toEqual({ ...query, limit: 50 });
  });

  it.each<[query: Record<string, string>, path: string, message: RegExp]>([
    [{ limit: "0" }, "limit", /1 to 200/],
    [{ limit: "201" }, "limit", /1 to 200/],
    [{ limit: "1000" }, "limit", /1 to 200/],
    [{ limit: "" }, "limit", /1 to 200/],
    [{ limit: " 5" }, "limit", /1 to 200/],
    [{ limit: "5 " }, "limit", /1 to 200/],
    [{ limit: "1.5" }, "limit", /1 to 200/],
    [{ limit: "-1" }, "limit", /1 to 200/],
    [{ status: "paused" }, "status", /draft, running, completed/],
    [{ cursor: "a b" }, "cursor", /1 to 64/],
    [{ page: "2" }, "page", /unknown/],
  ])("rejects %j", (query, path, message) => {
    const errors = refused(listQuery, query);
    expect(new Set(errors.map((error) => error.path))).toEqual(new Set([path]));
    for (const error of errors) expect(error.message).toMatch(message);
  });
});

describe("refreshWebhookBody", () => {
  it.each([{ experiment_id: "checkout-cta" }, { environment_key: "env" }, valid])("accepts %j", (body) => {
    expect(accepted(refreshWebhookBody, body)).toEqual(body);
  });

  it.each([
    {},
    { experiment_id: "a", environment_key: "env" },
    { feature_name: "button" },
    { environment_key: 7 },
    { environment_key: "env", feature_name: null },
    ["checkout-cta"],
    null,
  ])("rejects %j, and lists the valid properties", (body) => {
    expect(refused(refreshWebhookBody, body)).toEqual([
      { path: "", message: expect.stringContaining("experiment_id, or") },
    ]);
  });

  it.each<[body: object, path: string, message: RegExp]>([
    [{ experiment_id: "a b" }, "experiment_id", /1 to 64/],
    [{ environment_key: "" }, "environment_key", /empty/],
    [{ environment_key: "env", feature_name: "" }, "feature_name", /empty/],
    [{ environment_key: HALF_A_PAIR }, "environment_key", /surrogate/],
    [{ ...valid, more: 1 }, "more", /unknown/],
    [{ experiment_id: "a", more: 1 }, "more", /unknown/],
  ])("reports the one error of %j", (body, path, message) => {
    expect(refused(refreshWebhookBody, body)).toEqual([{ path, message: expect.stringMatching(message) }]);
  });
});

describe("flagsmithWebhookBody", () => {
  const named = (name: unknown) => ({ feature: { name, id: 7 }, enabled: true });
  const changed = (data: unknown, event_type = "FLAG_UPDATED") => ({ event_type, data });

  it.each(["FLAG_UPDATED", "FLAG_DELETED"])("maps %s to the feature of the new state", (event_type) => {
    const event = { event_type, data: { new_state: named("new"), previous_state: named("old") } };
    expect(accepted(flagsmithWebhookBody, event)).toEqual({ about: "feature", featureName: "new" });
  });

  it.each([
    { what: "is missing", data: { previous_state: named("old") } },
    { what: "is null", data: { new_state: null, previous_state: named("old") } },
    { what: "has another shape", data: { new_state: "deleted", previous_state: named("old") } },
    { what: "has an empty name", data: { new_state: named(""), previous_state: named("old") } },
  ])("uses the feature of the previous state if the new one $what", ({ data }) => {
    expect(accepted(flagsmithWebhookBody, changed(data, "FLAG_DELETED"))).toEqual({
      about: "feature",
      featureName: "old",
    });
  });

  it.each([undefined, null, "text", {}, { new_state: null, previous_state: null }, { new_state: named(7) }])(
    "rejects a flag event whose data lack the feature's name: %j",
    (data) => {
      expect(refused(flagsmithWebhookBody, changed(data))).toEqual([
        { path: "data", message: expect.stringContaining("new_state.feature.name") },
      ]);
    },
  );

  it.each(["AUDIT_LOG_CREATED", "NEW_VERSION_PUBLISHED"])("maps %s to the environment", (event_type) => {
    expect(accepted(flagsmithWebhookBody, { event_type, data: { log: "x" } })).toEqual({ about: "environment" });
    expect(accepted(flagsmithWebhookBody, { event_type })).toEqual({ about: "environment" });
  });

  it.each(["", "SEGMENT_UPDATED", "flag_updated"])("maps the event type %j to nothing", (event_type) => {
    expect(accepted(flagsmithWebhookBody, changed({}, event_type))).toEqual({ about: "nothing" });
  });

  it("requires an event type", () => {
    const error = { path: "event_type", message: expect.stringContaining("a string") };
    expect(refused(flagsmithWebhookBody, {})).toEqual([error]);
    expect(refused(flagsmithWebhookBody, { event_type: 1 })).toEqual([error]);
  });
});
