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

/** An experiment of one's own. */
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

/** The answer once what was asked for is done. */
const computed = (id: string) =>
  until(
    () => worker.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

it("sweeps back and forth in time: as_of and computed_at never go back, and every event counts once", async () => {
  const now = Date.now();
  const { id, expose } = await create(now - 10 * DAY);
  let last = await computed(id);
  let identities = 0;
  for (const at of [now + HOUR, now - DAY, now + DAY, now + HOUR, now + DAY, 0, now + 2 * DAY]) {
    await expose(now - 5 * DAY - identities);
    identities += 1;
    expect(await worker.sweep(at)).toBe(true);
    const next = await worker.exposures(id);
    // A sweep that was due before the start is none for this experiment.
    if (at === 0) expect(next).toEqual(last);
    else expect(next.exposures.total_identities).toBe(identities);
    expect(next.as_of).toBe(iso(Math.max(at, Date.parse(last.as_of))));
    expect(Date.parse(next.computed_at)).toBeGreaterThanOrEqual(Date.parse(last.computed_at));
    last = next;
  }
});

it("an experiment that is planned starts with the first sweep that is due after its start", async () => {
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

it("a sweep that was due before a call came does not serve it with numbers of before it", async () => {
  const { id, expose } = await create(Date.now() - DAY);
  const { as_of } = await computed(id);
  await expose(Date.parse(as_of) + 1);
  await until(Date.now, (time) => time > Date.parse(as_of) + 1);
  expect((await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`)).status).toBe(202);
  await worker.sweep(Date.parse(as_of));
  expect((await computed(id)).exposures.total_identities).toBe(1);
});
