import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HOUR, situation } from "../support/arbitrary.ts";
import { collectionByBruteForce, countByBruteForce, withMaps } from "../support/brute-force.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

const FEATURE = "checkout_button";

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

const newName = () => `chain-${++count}`;
const iso = (time: number) => new Date(time).toISOString();

type Window = { from: number; to: number | null };

function put(id: string, { from, to }: Window, variants: string[] = []) {
  return worker.call("PUT", `/v1/experiments/${id}`, {
    environment_key: id,
    feature_name: FEATURE,
    variants: variants.map((key) => ({ key, weight: 1 })),
    started_at: iso(from),
    ended_at: to === null ? null : iso(to),
  });
}

/** Creates an experiment and waits for its first numbers. */
async function exposuresOf(id: string, window: Window, variants: string[] = []) {
  expect((await put(id, window, variants)).status).toBe(201);
  return until(
    () => worker.exposures(id),
    ({ exposures }) => exposures !== null,
  );
}

describe("from events in ClickHouse to the GET of exposures", () => {
  it("equals a count by brute force; order and duplicates change no byte but for how many events are invalid", async () => {
    await fc.assert(
      fc.asyncProperty(situation, async ({ from, to, configured, eventsOf }) => {
        const [id, reversed] = [newName(), newName()];
        await warehouse.insert([...eventsOf(id, FEATURE), ...eventsOf(reversed, FEATURE).reverse()]);
        await warehouse.insert(eventsOf(reversed, FEATURE));
        const answer = await exposuresOf(id, { from, to }, configured);
        expect(answer).toMatchObject({ as_of: iso(to), status: "completed", is_final: true });
        const question = { environment_key: id, feature_name: FEATURE, variants: configured, from, to };
        const events = eventsOf(id, FEATURE);
        expect(withMaps(answer.exposures)).toEqual(countByBruteForce(events, question));
        const { latestExposureAt, lateIdentities, invalidEvents } = collectionByBruteForce(events, question);
        const figures = Object.assign({}, ...answer.exposures.health.checks);
        expect(figures).toMatchObject({
          latest_exposure_at: latestExposureAt === null ? null : iso(latestExposureAt),
          late_identities: lateIdentities,
          invalid_events: invalidEvents,
        });

        await exposuresOf(reversed, { from, to }, configured);
        const textOf = async (name: string) => (await worker.call("GET", `/v1/experiments/${name}/exposures`)).text;
        const payload = (text: string) =>
          text.slice(text.indexOf('"exposures":')).replace(/\{"name":"invalid_events".*?\}/, "");
        expect(payload(await textOf(reversed))).toBe(payload(await textOf(id)));
      }),
      { numRuns: 25 },
    );
  });

  const now = Date.UTC(2026, 5, 20, 10, 30);
  const exposure = (id: string, identifier: string, timestamp: number, value = "control"): Event => ({
    environment_key: id,
    feature_name: FEATURE,
    identifier,
    value,
    timestamp,
  });

  it.each([
    ["exactly 72 h is hourly", 72 * HOUR, "hour", 72],
    ["72 h + 1 ms is daily", 72 * HOUR + 1, "day", 4],
    ["of one millisecond has one bucket", 1, "hour", 1],
    ["that ends on a bucket's edge has no bucket after it", 2 * HOUR, "hour", 2],
    ["that ends 1 ms later has", 2 * HOUR + 1, "hour", 3],
  ])("a window of %s", async (_, length, granularity, points) => {
    const from = Date.UTC(2026, 5, 1);
    const { exposures } = await exposuresOf(newName(), { from, to: from + length }, ["control"]);
    expect(exposures.timeseries.granularity).toBe(granularity);
    expect(exposures.timeseries.points).toHaveLength(points);
  });

  it("has its numbers as of the time the sweep was scheduled for", async () => {
    const id = newName();
    const from = Date.now() - 5 * HOUR;
    await put(id, { from, to: null });
    const asOf = Math.ceil(Date.now() / HOUR) * HOUR;
    await warehouse.insert([exposure(id, "in time", asOf - 1), exposure(id, "too late", asOf)]);
    await worker.sweep(asOf);
    const answer = await worker.exposures(id);
    expect(answer.as_of).toBe(iso(asOf));
    expect(answer.exposures.total_identities).toBe(1);
    expect(answer.exposures.timeseries.points.at(-1).bucket).toBe(iso(asOf - HOUR));
  });

  it("an experiment not started has none, and a sweep leaves it alone", async () => {
    const [planned, open] = [newName(), newName()];
    await put(planned, { from: Date.now() + HOUR, to: null });
    const body = { environment_key: open, feature_name: FEATURE };
    expect((await worker.call("PUT", `/v1/experiments/${open}`, body)).json.status).toBe("draft");
    await worker.sweep();
    for (const id of [planned, open]) {
      expect(await worker.exposures(id)).toMatchObject({
        status: "draft",
        exposures: null,
        as_of: null,
        last_error_at: null,
      });
    }
  });

  it("an experiment just started has one bucket", async () => {
    const id = newName();
    const answer = await exposuresOf(id, { from: Date.now() - 2, to: null }, ["control"]);
    expect(answer.status).toBe("running");
    expect(answer.exposures.timeseries.points).toHaveLength(1);
  });

  it("an ended experiment keeps counting late events until it has settled, and is then final", async () => {
    const id = newName();
    const to = Date.now() - 1000;
    const from = to - 4 * HOUR;
    expect(await exposuresOf(id, { from, to })).toMatchObject({ status: "completed", as_of: iso(to), is_final: false });

    await warehouse.insert([exposure(id, "late", from)]);
    await worker.sweep(to + 30 * 60_000);
    const settling = await worker.exposures(id);
    expect(settling).toMatchObject({ as_of: iso(to), is_final: false, exposures: { total_identities: 1 } });

    await worker.sweep(to + 3600_000 - 1);
    expect(await worker.exposures(id)).toMatchObject({ is_final: false });
    await worker.sweep(to + 3600_000);
    const final = await worker.exposures(id);
    expect(final).toMatchObject({ as_of: iso(to), is_final: true });

    await warehouse.insert([exposure(id, "too late", from)]);
    await worker.sweep(to + 2 * 3600_000);
    expect(await worker.exposures(id)).toEqual(final);
    expect((await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`)).status).toBe(409);
  });

  it("a final experiment whose end is moved is computed again, up to its new end", async () => {
    const id = newName();
    const from = now - 10 * HOUR;
    await warehouse.insert([exposure(id, "first", from), exposure(id, "second", now - HOUR)]);
    expect(await exposuresOf(id, { from, to: now })).toMatchObject({
      is_final: true,
      exposures: { total_identities: 2 },
    });
    await put(id, { from, to: now - 2 * HOUR });
    const earlier = await until(
      () => worker.exposures(id),
      ({ is_final }) => is_final,
    );
    expect(earlier).toMatchObject({ as_of: iso(now - 2 * HOUR), exposures: { total_identities: 1 } });
  });

  it("a final experiment whose name changes stays final, and is not computed again", async () => {
    const id = newName();
    const window = { from: now - HOUR, to: now };
    const { computed_at } = await exposuresOf(id, window, ["control"]);
    const renamed = {
      name: "another",
      environment_key: id,
      feature_name: FEATURE,
      variants: [{ key: "control", weight: 1 }],
    };
    const body = { ...renamed, started_at: iso(window.from), ended_at: iso(window.to) };
    expect((await worker.call("PUT", `/v1/experiments/${id}`, body)).json.name).toBe("another");
    expect(await worker.exposures(id)).toMatchObject({ is_final: true, computed_at, refresh_requested_at: null });
  });

  it("another feature, environment or start drops the numbers at once", async () => {
    const id = newName();
    await exposuresOf(id, { from: now - HOUR, to: now });
    const started = { environment_key: id, feature_name: "another", started_at: iso(Date.now() + HOUR) };
    await worker.call("PUT", `/v1/experiments/${id}`, started);
    expect(await worker.exposures(id)).toMatchObject({
      as_of: null,
      computed_at: null,
      exposures: null,
      is_final: false,
    });
  });

  it("as_of never goes back", async () => {
    const id = newName();
    const ahead = Date.now() + HOUR;
    await put(id, { from: ahead - 3 * HOUR, to: null });
    await worker.sweep(ahead);
    await warehouse.insert([exposure(id, "ann", ahead - 2 * HOUR)]);
    await worker.sweep(ahead - HOUR);
    expect(await worker.exposures(id)).toMatchObject({ as_of: iso(ahead), exposures: { total_identities: 1 } });
  });
});
