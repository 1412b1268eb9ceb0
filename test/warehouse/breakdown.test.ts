import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { BreakdownQuery } from "../../src/warehouse/breakdown-query.ts";
import { readBreakdowns } from "../../src/warehouse/breakdown-rows.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countBreakdowns } from "../../src/warehouse/count-breakdowns.ts";
import { describeIdentitiesQuery } from "../../src/warehouse/identities-query.ts";
import { HOUR, scenario } from "../support/arbitrary.ts";
import { breakDownByBruteForce } from "../support/breakdown-by-brute-force.ts";
import { runs } from "../support/runs.ts";
import { createShards, partition } from "../support/shards.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";

const FEATURE = 'it\'s \\a "feature"\n';
const TRAITS = ["plan", "a`b\\'c\"\n", "1", "__proto__", "null"];
const from = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
let copies: Warehouse;
let halves: Warehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
  ({ copies, halves } = await createShards(warehouse));
});

async function answerOf(connection: Warehouse, query: BreakdownQuery) {
  const answer = await countBreakdowns(connection, query);
  if (!answer.ok) throw new Error(JSON.stringify(answer));
  return answer.value;
}

function queryOf(more: Partial<BreakdownQuery> = {}): BreakdownQuery {
  const variants = [
    { key: "a", weight: 1 },
    { key: "b", weight: 1 },
  ];
  const window = { from, to: from + HOUR };
  return { environmentKey: randomUUID(), featureName: FEATURE, window, variants, traits: [], splitFrom: from, ...more };
}

function eventOf({ environmentKey }: BreakdownQuery, event: Partial<Event>): Event {
  return {
    environment_key: environmentKey,
    feature_name: FEATURE,
    timestamp: from,
    identifier: "ann",
    value: "a",
    sdk_language: "javascript",
    ...event,
  };
}

const sdk = fc.constantFrom("", "1.2.0", "(not set)", '"quoted"', "é🧪".repeat(120), "\0", "a\tb");
const jsonValue = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1.5, 12, "", "12", "(not set)", '"x', "a\0b", "ü\n'\\", "🧪".repeat(201)),
  fc.constantFrom<unknown>([], {}, [1, "ü", null], { a: { b: ['"', 2] } }, "x".repeat(200), "x".repeat(201)),
);
const traits = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.dictionary(fc.constantFrom(...TRAITS, "other"), jsonValue).map((value) => JSON.stringify(value)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "{}",
      "[1, 2]",
      ' ["x"]',
      "null",
      '"plan"',
      "7",
      '{"plan":"cut',
      "no JSON",
      ' {"plan" : "spaced"}',
    ),
  },
);
const profile = fc.record({ sdk_language: sdk, sdk_version: sdk, traits });

/** Gives equal values to the events of one identity at one time, unless one is late and the other is not. */
function withProfiles(events: readonly Event[], next: () => Partial<Event>): Event[] {
  const profiles = new Map<string, Partial<Event>>();
  return events.map((event) => {
    const isLate = (event.collected_at ?? event.timestamp) - event.timestamp > HOUR;
    const key = JSON.stringify([event.identifier, event.timestamp, isLate]);
    profiles.set(key, profiles.get(key) ?? next());
    return { ...event, ...profiles.get(key) };
  });
}

describe("countBreakdowns", () => {
  it("equals a brute-force breakdown, on one server and over shards", async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(profile),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async ({ from, to, configured, eventsOf }, isFirst, profiles, part) => {
          const variants = configured.map((key) => ({ key, weight: 1 }));
          const splitFrom = from + Math.floor(part * (to - from));
          const query = queryOf({ window: { from, to }, variants, traits: TRAITS, splitFrom });
          const events = withProfiles(eventsOf(query.environmentKey, FEATURE), () => profiles.next().value);
          const [first, second] = partition(events, () => isFirst.next().value);
          await Promise.all([
            warehouse.insert(events, "all_events"),
            warehouse.insert(first, "first_events"),
            warehouse.insert(second, "second_events"),
          ]);
          const expected = breakDownByBruteForce(events, query);
          for (const connection of [connectWarehouse({ ...warehouse.settings, table: "all_events" }), halves])
            expect(await answerOf(connection, query)).toEqual(expected);
        },
      ),
      { numRuns: runs(6) },
    );
  });

  it("names the 20 largest values, and counts the others together", async () => {
    const query = queryOf({ traits: ["plan"] });
    const events = Array.from({ length: 25 }, (_, index) =>
      Array.from({ length: 1 + (index % 5) }, (_, copy) =>
        eventOf(query, {
          identifier: `${index}-${copy}`,
          traits: JSON.stringify({ plan: `plan ${index}` }),
          sdk_version: String(index % 20),
        }),
      ),
    ).flat();
    await warehouse.insert(events);
    const answer = await answerOf(connectWarehouse(warehouse.settings), query);
    expect(answer).toEqual(breakDownByBruteForce(events, query));
    expect(answer.dimensions.map(({ values }) => values.length)).toEqual([1, 1, 20, 21]);
    expect(answer.dimensions[3]?.values.at(-1)).toMatchObject({ value: null, counted: 5 });
  });

  it("takes one of several exposures at the same millisecond, whatever their order, duplicates and shards", async () => {
    const events = (query: BreakdownQuery) =>
      Array.from({ length: 40 }, (_, index) =>
        [0, 1, 2]
          .map((exposure) => String((index + exposure) % 7))
          .map((sdk_version) =>
            eventOf(query, { identifier: `${index}`, sdk_version, traits: `{"plan":${sdk_version}}` }),
          ),
      ).flat();
    const queries = [0, 1, 2].map(() => queryOf({ traits: ["plan"] }));
    const [straight, reversed, sharded] = queries;
    if (straight === undefined || reversed === undefined || sharded === undefined) throw new Error("three queries");
    await warehouse.insert(events(straight));
    const backwards = events(reversed).reverse();
    for (const part of [backwards.slice(0, 50), backwards.slice(25)]) await warehouse.insert(part);
    await warehouse.insert(events(sharded).slice(0, 61), "second_events");
    await warehouse.insert(events(sharded).slice(61), "first_events");
    const plain = connectWarehouse(warehouse.settings);
    const answer = await answerOf(plain, straight);
    expect(await answerOf(plain, reversed)).toEqual(answer);
    expect(await answerOf(halves, sharded)).toEqual(answer);
    const [, , versions, plans] = answer.dimensions;
    expect(versions?.values.length).toBeGreaterThan(2);
    expect(plans?.values).toEqual(versions?.values);
  });

  it("reads traits whatever their names, with words that ClickHouse reserves among them", async () => {
    const names = [
      "null",
      "plan.null",
      "size0",
      "plan.size0",
      "keys",
      "values",
      "size",
      "0",
      "-1",
      "String",
      "`",
      "\\",
      " ",
    ];
    const query = queryOf({ traits: ["NULL", ...names, "plan"] });
    const traits = Object.fromEntries(query.traits.map((name) => [name, `value of ${name}`]));
    await warehouse.insert([eventOf(query, { traits: JSON.stringify(traits) })]);
    for (const tested of [query, { ...query, traits: ["null"] }]) {
      const found = (await answerOf(connectWarehouse(warehouse.settings), tested)).dimensions.filter(({ dimension }) =>
        dimension.startsWith("traits."),
      );
      expect(found.map(({ dimension, values }) => [dimension, values.map(({ value }) => value)])).toEqual(
        tested.traits.map((name) => [`traits.${name}`, [`value of ${name}`]]),
      );
    }
  });

  it.each(["18446744073709551616", "-9223372036854775809", '"\\ud800"'])(
    "takes traits with %s for no JSON object, because ClickHouse can't parse them",
    async (value) => {
      const query = queryOf({ traits: ["plan", "null"] });
      await warehouse.insert([eventOf(query, { traits: `{"plan":"pro","other":${value}}` })]);
      const { dimensions } = await answerOf(connectWarehouse(warehouse.settings), query);
      expect(dimensions.slice(3).map(({ values }) => values.map((found) => found.value))).toEqual([
        ["(not a JSON object)"],
        ["(not a JSON object)"],
      ]);
    },
  );

  it("counts identities of shards with the same rows once", async () => {
    const query = queryOf();
    await warehouse.insert([eventOf(query, {}), eventOf(query, { identifier: "bob", value: "b" })], "all_events");
    expect((await answerOf(copies, query)).dimensions[1]?.values).toMatchObject([{ value: "javascript", counted: 2 }]);
  });

  it("has all buckets and no other value without exposures", async () => {
    const { dimensions } = await answerOf(
      connectWarehouse(warehouse.settings),
      queryOf({ variants: [], window: { from, to: from + 3 * HOUR } }),
    );
    expect(dimensions.map(({ values }) => values.length)).toEqual([3, 0, 0]);
  });
});

describe("describeIdentitiesQuery", () => {
  it("lists the identities of a value, in every dimension", async () => {
    const query = queryOf({ traits: ["plan", "null"] });
    await warehouse.insert([
      eventOf(query, { identifier: "ann", sdk_version: "2.0", traits: '{"plan":"(x)","null":1}' }),
      eventOf(query, { identifier: "ann", value: "b", timestamp: from + 1, sdk_version: "3.0" }),
      eventOf(query, { identifier: "bob", timestamp: from + 1, sdk_version: "", traits: "no JSON" }),
    ]);
    const listed = async (dimension: string, value: string) => {
      const connection = connectWarehouse(warehouse.settings);
      const { sql, parameters } = describeIdentitiesQuery(connection.table, query, dimension, value);
      const rows = await connection.select(sql, parameters);
      return rows.ok ? rows.value.map((row) => Object(row).identifier) : rows;
    };
    expect(await listed("sdk_version", "2.0")).toEqual(["ann"]);
    expect(await listed("sdk_version", "3.0")).toEqual([]);
    expect(await listed("sdk_version", "(not set)")).toEqual(["bob"]);
    expect(await listed("sdk_language", "javascript")).toEqual(["ann", "bob"]);
    expect(await listed("traits.plan", '"(x)"')).toEqual(["ann"]);
    expect(await listed("traits.null", "1")).toEqual(["ann"]);
    expect(await listed("traits.plan", "(not a JSON object)")).toEqual(["bob"]);
    expect(await listed("first_exposure", new Date(from).toISOString())).toEqual(["ann", "bob"]);
    expect(await listed("first_exposure", new Date(from + HOUR).toISOString())).toEqual([]);
  });
});

describe("readBreakdowns", () => {
  const bucket = {
    dimension: 0,
    text: String(from),
    counts: [4, 1, 2, 1, 2, 1],
  };
  const values = [1, 2].map((dimension) => ({ ...bucket, dimension, text: "x" }));

  it("returns the rows of a consistent answer", () => {
    const answer = readBreakdowns([bucket, ...values], queryOf());
    const identities = new Map([
      ["a", 1],
      ["b", 2],
      ["", 1],
    ]);
    expect(answer).toMatchObject({ ok: true, value: { splitFrom: from } });
    if (answer.ok)
      expect(answer.value.dimensions[1]?.values).toEqual([
        { value: "x", identities, counted: 4, excluded: 1, late: 2 },
      ]);
  });

  it.each<[string, unknown[]]>([
    ["a row that is no object", [null]],
    ["a number as text", [{ ...bucket, counts: ["4", 1, 2, 1, 2, 1] }]],
    ["an unsafe number", [{ ...bucket, counts: [2 ** 53, 1, 2, 1, 2, 1] }]],
    ["no identities", [{ ...bucket, counts: [0, 0, 0, 0, 0, 0] }]],
    ["more late identities than identities", [{ ...bucket, counts: [4, 1, 6, 1, 2, 1] }]],
    ["more identities by variant than counted ones", [{ ...bucket, counts: [4, 1, 2, 3, 2, 0] }]],
    ["too few variants", [{ ...bucket, counts: [4, 1, 2, 1, 2] }]],
    ["a bucket outside the window", [{ ...bucket, text: String(from + HOUR) }]],
    ["a negative number", [{ ...bucket, counts: [4, 1, -2, 1, 2, 1] }]],
    ["an unknown dimension", [bucket, ...values, { ...bucket, dimension: 3 }]],
    ["a value twice", [bucket, ...values, values[0]]],
    ["a dimension with fewer identities than the buckets", [bucket, ...values.slice(1)]],
    ["a dimension with more identities than the buckets", [bucket, ...values, { ...bucket, dimension: 1, text: "y" }]],
  ])("fails with bad_rows for %s", (_, rows) => {
    expect(readBreakdowns(rows, queryOf())).toEqual({ ok: false, failure: { kind: "bad_rows" } });
  });
});
