import { afterAll, beforeAll, expect, it } from "vitest";
import { HOUR } from "../support/arbitrary.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

const DAY = 24 * HOUR;
const iso = (time: number) => new Date(time).toISOString();

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

/** Creates an experiment with an id, environment and feature of its own. */
async function create(started_at: number, ended_at: number | null = null) {
  count += 1;
  const id = `time-${count}`;
  const definition = { environment_key: id, feature_name: id, started_at: iso(started_at) };
  const body = { ...definition, ended_at: ended_at === null ? null : iso(ended_at) };
  expect((await worker.call("PUT", `/v1/experiments/${id}`, body)).status).toBe(201);
  const expose = (...times: number[]) =>
    warehouse.insert(
      times.map((timestamp) => ({
        environment_key: id,
        feature_name: id,
        identifier: String(timestamp),
        value: "control",
        timestamp,
      })),
    );
  return { id, expose };
}

/** Waits until the requested refreshes are done, and returns the exposures. */
const untilComputed = (id: string) =>
  until(
    () => worker.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

it("keeps as_of and computed_at monotonic, and counts each event once, in sweeps of any order", async () => {
  const now = Date.now();
  const { id, expose } = await create(now - 10 * DAY);
  let last = await untilComputed(id);
  let identities = 0;
  for (const at of [now + HOUR, now - DAY, now + DAY, now + HOUR, now + DAY, 0, now + 2 * DAY]) {
    await expose(now - 5 * DAY - identities);
    identities += 1;
    expect(await worker.sweep(at)).toBe(true);
    const next = await worker.exposures(id);
    // A sweep that was due before the start skips the experiment.
    if (at === 0) expect(next).toEqual(last);
    else expect(next.exposures.total_identities).toBe(identities);
    expect(next.as_of).toBe(iso(Math.max(at, Date.parse(last.as_of))));
    expect(Date.parse(next.computed_at)).toBeGreaterThanOrEqual(Date.parse(last.computed_at));
    last = next;
  }
});

it("computes a planned experiment from the first sweep that is due at its start or later", async () => {
  const start = Date.now() + 5 * HOUR;
  const { id, expose } = await create(start);
  await expose(start - 1, start, start + HOUR - 1, start + HOUR);
  await worker.sweep(start - 1);
  expect((await worker.exposures(id)).exposures).toBeNull();
  await worker.sweep(start);
  expect(await worker.exposures(id)).toMatchObject({ as_of: iso(start), exposures: { total_identities: 0 } });
  await worker.sweep(start + HOUR);
  expect((await worker.exposures(id)).exposures.total_identities).toBe(2);
});

it("does not serve a manual request with the numbers of a sweep that was due before it", async () => {
  const { id, expose } = await create(Date.now() - DAY);
  const { as_of } = await untilComputed(id);
  await expose(Date.parse(as_of) + 1);
  await until(Date.now, (time) => time > Date.parse(as_of) + 1);
  expect((await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`)).status).toBe(202);
  await worker.sweep(Date.parse(as_of));
  expect((await untilComputed(id)).exposures.total_identities).toBe(1);
});
