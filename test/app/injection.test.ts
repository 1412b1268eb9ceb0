import { createHash } from "node:crypto";
import pLimit from "p-limit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMetric } from "../../src/results/metric-json.ts";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { metricsByBruteForce } from "../support/metrics-by-brute-force.ts";
import { sign } from "../support/sign.ts";
import { createTable, createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

// Every value that reaches ClickHouse or D1, with text that would end or widen a statement if it were part of the SQL.

const payloads = [
  ...["' OR '1'='1", "' OR 1=1 --", "x' UNION ALL SELECT * FROM experiments --", "'; DROP TABLE experiments; --"],
  ...[
    "'; DELETE FROM experiments; --",
    "') OR ('a'='a",
    '" OR ""="',
    "`",
    "``; DROP TABLE events",
    "'; DROP TABLE events",
  ],
  ...["\\", "\\\\", "\\'", "\\' OR 1=1 --", "x\\", "'\\", "''", "'''", "\\x27 OR 1=1", "\\u0027", "\\0", "\\N", "\\t"],
  ...["{x:String}", "{environment_key:String}", "{table:Identifier}", "?", "?1", "?3", ":id", "@id", "$1", "$$", "{}"],
  ...["%", "_", "%%", "a%", "*", "[a-z]", "x' LIKE '%", "(SELECT 1)", "1; SELECT sleep(3)", "1 OR 1=1", "0x27", "NULL"],
  ...[
    "-- ",
    "/*",
    "*/",
    "/* x */",
    "#",
    "; --",
    "\n",
    "\t",
    "\r\n",
    "a\nb",
    "a\tb",
    "tab\tend\n",
    "\b\f",
    "\x1a",
    "\x7f",
  ],
  ...[
    "\u2019 OR \u20181\u2019=\u20181",
    "\uff07 OR 1=1",
    "\u02bc",
    "\u00a0",
    "\ufeff",
    "\u2028",
    "🧪'",
    "ﬀ",
    "%27",
    "&#39;",
  ],
  ...["+", "&", "=", "a&param_feature_name=b", "&query=SELECT 1", "?database=system", "#fragment", "%00", "a b", " "],
] as const;

let warehouse: TestWarehouse;
let worker: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const FROM = Date.UTC(2026, 5, 1);
const TO = FROM + 3 * HOUR;
const times = { started_at: new Date(FROM).toISOString(), ended_at: new Date(TO).toISOString() };
const idOf = (...parts: string[]) => createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 20);

const put = (id: string, body: object) => worker.call("PUT", `/v1/experiments/${id}`, body);

/** Values that a slightly wrong statement would confuse with this one. */
const neighboursOf = (text: string) =>
  [`${text}'`, `${text} `, `\\${text}`, text.replaceAll("\\", "\\\\"), text.replaceAll("'", "''"), text.trim(), "x"]
    .filter((other) => other !== text && other !== "")
    .filter((other, index, all) => all.indexOf(other) === index);

/** Events in each of the pairs. The number of identities tells the pairs apart. */
function eventsIn(pairs: readonly (readonly [environment: string, feature: string])[], variant: string): Event[] {
  return pairs.flatMap(([environment_key, feature_name], pair) =>
    Array.from({ length: pair + 1 }, (_, index) => ({
      environment_key,
      feature_name,
      identifier: `${variant}${pair}-${index}`,
      value: index % 2 === 0 ? variant : `${variant}.`,
      timestamp: FROM + ((index + pair) % 3) * HOUR,
    })),
  );
}

describe("a value that reaches ClickHouse", () => {
  it("counts exactly its own events, as an environment, a feature, a variant and an identity", async () => {
    const events = payloads.flatMap((payload, index) => {
      const own = `plain-${index}`;
      const both = { environment_key: payload, feature_name: payload };
      const others = neighboursOf(payload);
      return [
        ...eventsIn(
          [
            [payload, payload],
            [payload, own],
            [own, payload],
          ],
          payload,
        ),
        ...eventsIn(
          others.flatMap((other) => [[payload, other] as const, [other, payload] as const]),
          payload,
        ),
        // An identity and a variant that are both the payload, and identities that saw two similar variants.
        { ...both, identifier: payload, value: payload, timestamp: FROM + 1 },
        ...others.flatMap((other) => [
          { ...both, identifier: other, value: payload, timestamp: FROM + 2 * HOUR },
          { ...both, identifier: other, value: other, timestamp: FROM + HOUR },
        ]),
      ];
    });
    await warehouse.insert(events);

    const queries = payloads.map((payload) => ({
      environment_key: payload,
      feature_name: payload,
      variants: [payload],
    }));
    async function check(query: (typeof queries)[number]) {
      const { environment_key, feature_name } = query;
      const [id, key = ""] = [idOf(environment_key, feature_name), ...query.variants];
      const body = { name: key, environment_key, feature_name, variants: [{ key, weight: 1 }], ...times };
      const response = await put(id, body);
      expect(response.status).toBe(201);
      expect(response.json).toMatchObject(body);
      const { exposures, last_error_at } = await until(
        () => worker.exposures(id),
        (found) => found.is_final || found.last_error_at !== null,
      );
      expect(last_error_at, JSON.stringify(query)).toBeNull();
      const expected = countByBruteForce(events, { ...query, from: FROM, to: TO });
      expect(expected.total_identities).toBeGreaterThan(0);
      expect(withMaps(exposures), JSON.stringify(query)).toEqual(expected);
    }
    await pLimit(6).map(queries, check);
  });

  it("counts exactly its own events as the event of a metric, and survives CSV, export and import", async () => {
    const chunks = Array.from({ length: Math.ceil(payloads.length / 20) }, (_, index) =>
      payloads.slice(20 * index, 20 * index + 20),
    );
    await pLimit(4).map(chunks, async (names, chunk) => {
      const id = `metrics-${chunk}`;
      const base = { environment_key: id, feature_name: id, timestamp: FROM + HOUR };
      // An identity in a variant with the name of the event. The number of events tells the names apart.
      const events = names.flatMap((name, index) => [
        { ...base, identifier: `${name}${index}`, value: name },
        ...[name, ...neighboursOf(name)].flatMap((event, neighbour) =>
          Array.from({ length: 1 + index + neighbour }, (_, nth) => {
            return { ...base, event, identifier: `${name}${index}`, value: name, timestamp: base.timestamp + nth };
          }),
        ),
      ]);
      await warehouse.insert(events);
      const metrics = names.map((name, index) => ({
        key: `m${index}`,
        name,
        event: name,
        aggregation: "count" as const,
        expected_direction: "increase" as const,
        conversion_window_hours: null,
        lookback_days: 0,
      }));
      const body = { environment_key: id, feature_name: id, ...times, metrics };
      const created = await put(id, { ...body, variants: names.map((key) => ({ key, weight: 1 })) });
      expect(created.json.metrics).toEqual(metrics);
      await until(
        () => worker.exposures(id),
        ({ is_final }) => is_final,
      );
      const path = `/v1/experiments/${id}`;
      const before = (await worker.call("GET", `${path}/results`)).text;
      const { control, metrics: found } = JSON.parse(before).results;
      expect(control).toBe(names[0]);
      const query = { environment_key: id, feature_name: id, from: FROM, to: TO };
      for (const [index, { variants }] of metricsByBruteForce(events, query, metrics.map(readMetric)).entries()) {
        expect(found[index]).toMatchObject({ name: names[index], event: names[index] });
        const sums = names.map((name) => found[index].variants[name].sum);
        expect(sums).toEqual(names.map((name) => variants.get(name)?.y[0]));
      }
      const { text: csv } = await worker.call("GET", `${path}/results.csv`);
      const records = csv.match(/(?:"(?:[^"]|"")*"|[^"\r\n])+/g) ?? [];
      expect(records).toHaveLength(1 + names.length ** 2);

      const exported = (await worker.call("GET", "/v1/export")).text.split("\n");
      const line = exported.find((each) => each.includes(`"id":"${id}"`)) ?? "";
      await worker.call("DELETE", path);
      const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
      expect(imported.json).toMatchObject({ imported: [id] });
      expect((await worker.call("GET", `${path}/results`)).text).toBe(before);
    });
  });

  it("is an identifier, not SQL, as the name of a database and a table", async () => {
    const name = `it's "a.b"; DROP {x:Identifier}`;
    const own = await startWorker(await createTable(warehouse, name, FROM));
    try {
      expect((await own.call("GET", "/v1/warehouse/check")).json).toEqual({ status: "ok" });
      await own.call("PUT", "/v1/experiments/own", { environment_key: "e", feature_name: "f", ...times });
      const { exposures } = await until(
        () => own.exposures("own"),
        ({ is_final }) => is_final,
      );
      expect(exposures.variants).toEqual({ a: 1 });
    } finally {
      await own.stop();
    }
  });
});

describe("a value that reaches D1", () => {
  const listExperiments = async () =>
    (
      await worker.select(
        "SELECT id, name, environment_key, feature_name, variants, version FROM experiments ORDER BY id",
      )
    ).map((row) => ({ ...row }));
  const listTables = async () =>
    (await worker.select("SELECT name FROM sqlite_master ORDER BY name")).map(({ name }) => name);

  it("is stored unchanged in its own row, and matches only that row", async () => {
    const before = await listTables();
    for (const payload of payloads) {
      const others = await listExperiments();
      const id = idOf("stored", payload);
      const body = { name: payload, environment_key: `d1 ${payload}`, feature_name: payload };
      const variants = [{ key: payload, weight: 1 }];
      expect((await put(id, { ...body, variants })).status).toBe(201);
      const own = { id, ...body, variants: JSON.stringify(variants), version: 1 };
      const rows = await listExperiments();
      expect(rows.filter((row) => row["id"] !== id)).toEqual(others);
      expect(rows.find((row) => row["id"] === id)).toEqual(own);

      const query = new URLSearchParams({ environment_key: body.environment_key });
      const list = await worker.call("GET", `/v1/experiments?${query}`);
      expect(list.json.experiments.map((experiment: { id: string }) => experiment.id)).toEqual([id]);
    }
    expect(await listTables()).toEqual(before);
  });

  it("matches no other experiment in a path, a query, a cursor or a webhook", async () => {
    const [experimentsBefore, tablesBefore] = [await listExperiments(), await listTables()];
    const sendWebhook = (body: object) => {
      const text = JSON.stringify(body);
      return worker.call("POST", "/webhooks/refresh", text, { ...sign("webhook-signature", text) });
    };
    const event = JSON.stringify({ event_type: "AUDIT_LOG_CREATED" });
    const signed = { ...sign("x-flagsmith-signature", event) };
    const invalidIds = payloads.filter((text) => !/^[\w.-]+$/.test(text));
    await pLimit(6).map(invalidIds, async (payload) => {
      const escaped = encodeURIComponent(payload);
      for (const path of [`/v1/experiments/${escaped}`, `/v1/experiments/${escaped}/exposures`])
        expect((await worker.call("GET", path)).status).toBe(404);
      expect((await worker.call("DELETE", `/v1/experiments/${escaped}`)).status).toBe(404);
      expect((await worker.call("POST", `/v1/experiments/${escaped}/exposures/refresh`)).status).toBe(404);
      expect((await put(escaped, { environment_key: "e", feature_name: "f" })).status).toBe(400);
      for (const key of ["cursor", "status", "limit"]) {
        expect((await worker.call("GET", `/v1/experiments?${key}=${escaped}`)).status, `${key}=${payload}`).toBe(400);
      }
      const emptyReceipt = { accepted: [], skipped: [] };
      const scope = { environment_key: `unknown ${payload}` };
      expect((await sendWebhook(scope)).json).toEqual(emptyReceipt);
      expect((await sendWebhook({ ...scope, feature_name: payload })).json).toEqual(emptyReceipt);
      const path = `/webhooks/flagsmith/${encodeURIComponent(`unknown ${payload}`)}`;
      expect((await worker.call("POST", path, event, signed)).json).toEqual(emptyReceipt);
    });
    expect(await listExperiments()).toEqual(experimentsBefore);
    expect(await listTables()).toEqual(tablesBefore);
  });

  it("is not a pattern where an id may contain a wildcard", async () => {
    await put("abc", { environment_key: "patterns", feature_name: "abc" });
    const body = JSON.stringify({ experiment_id: "a_c" });
    const receipt = await worker.call("POST", "/webhooks/refresh", body, { ...sign("webhook-signature", body) });
    expect(receipt.json).toEqual({ accepted: [], skipped: [{ experiment_id: "a_c", reason: "not_found" }] });
    for (const [method, path] of [
      ["GET", "a_c"],
      ["GET", "a_c/exposures"],
      ["POST", "a_c/exposures/refresh"],
      ["DELETE", "a_c"],
    ] as const)
      expect((await worker.call(method, `/v1/experiments/${path}`)).status).toBe(404);
    expect((await put("a_c", { environment_key: "patterns", feature_name: "a_c" })).status).toBe(201);
    expect((await worker.call("DELETE", "/v1/experiments/a_c")).status).toBe(204);
    expect((await worker.call("GET", "/v1/experiments/abc")).status).toBe(200);
  });

  it("is distinct from every other value as a webhook-id", async () => {
    await put("target", { environment_key: "target", feature_name: "f", started_at: new Date(Date.now() - HOUR) });
    const body = JSON.stringify({ experiment_id: "target" });
    const ids = payloads.filter((payload) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(payload));
    expect(ids.length).toBeGreaterThan(40);
    for (const id of ids) {
      const send = () => worker.call("POST", "/webhooks/refresh", body, { ...sign("webhook-signature", body, id) });
      expect((await send()).json).toEqual({ accepted: ["target"], skipped: [] });
      expect((await send()).json.skipped).toEqual([{ experiment_id: "target", reason: "repeated" }]);
    }
    const stored = await worker.select("SELECT id FROM webhook_deliveries");
    expect(stored.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  });
});
