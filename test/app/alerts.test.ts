import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/deno.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startLastingWorker, startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

const HOUR = 3_600_000;
const STARTED = Date.now() - 2 * HOUR;

let warehouse: TestWarehouse;
let receiver: Receiver;
let worker: TestWorker;
let count = 0;

beforeAll(async () => {
  warehouse = await createWarehouse();
  receiver = await startReceiver();
  worker = await startWorker(warehouse.settings, { ALERT_WEBHOOK_URL: receiver.url.href });
});
afterAll(async () => {
  await worker.stop();
  await receiver.stop();
});

const expose = (id: string, variants: readonly string[], identifiers: readonly string[]) =>
  warehouse.insert(
    identifiers.flatMap((identifier) =>
      variants.map((value) => {
        return { environment_key: "env", feature_name: id, identifier, value, timestamp: STARTED + HOUR };
      }),
    ),
  );
const people = (count: number, name = "person") => Array.from({ length: count }, (_, index) => `${name}-${index}`);

/** A running experiment that one identity in two saw two variants of, on that Worker, refreshed once. */
async function unhealthy(on: Pick<TestWorker, "call" | "exposures" | "logs">) {
  const id = `alerts-${++count}`;
  await expose(id, ["control", "treatment"], people(1, "both"));
  await expose(id, ["control"], people(1));
  const started_at = new Date(STARTED).toISOString();
  await on.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: id, started_at });
  const refreshed = () =>
    until(
      () => on.exposures(id),
      ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
    );
  await refreshed();
  return {
    id,
    changes: () => on.logs().filter((line) => line.event === "health.changed" && line["experiment_id"] === id),
    events: () => on.logs().flatMap((line) => (line["experiment_id"] === id ? line.event : [])),
    statusOf: async (check: string) => {
      const { exposures } = await on.exposures(id);
      return exposures.health.checks.find(({ name }: { name: string }) => name === check).status;
    },
  };
}

const came = (id: string, alerts: number, by = receiver) =>
  until(
    () => by.about(id),
    ({ length }) => length >= alerts,
    { seconds: 60 },
  );

describe("an experiment's check that turned unhealthy", () => {
  it("is told once, signed, after two refreshes in a row: one line of the log and one call", async () => {
    const { id, changes, statusOf } = await unhealthy(worker);
    expect(await statusOf("multiple_variants")).toBe("unhealthy");
    expect(changes()).toEqual([]);
    expect(receiver.about(id)).toEqual([]);

    for (let refresh = 2; refresh <= 4; refresh += 1) expect(await worker.sweep()).toBe(true);
    const [alert] = await came(id, 1);
    expect(alert?.path).toBe("/hook?key=of-the-test");
    expect(alert?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": expect.stringMatching(/^msg_/),
    });
    const told = new Webhook(WEBHOOK_SECRET).verify(alert?.body ?? "", alert?.headers ?? {});
    expect(told).toEqual({
      type: "health.changed",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      data: {
        experiment_id: id,
        name: id,
        environment_key: "env",
        feature_name: id,
        check: "multiple_variants",
        status: "unhealthy",
        detail: expect.stringContaining("1 of 2 identities"),
        as_of: expect.any(String),
      },
    });
    await until(changes, ({ length }) => length > 0);
    expect(changes()).toMatchObject([{ level: "info", check: "multiple_variants", status: "unhealthy" }]);
    expect(receiver.about(id)).toHaveLength(1);
  });

  it("is told again when it comes back after it was well", async () => {
    const { id, changes, statusOf } = await unhealthy(worker);
    await worker.sweep();
    await came(id, 1);
    await expose(id, ["control"], people(20, "sane"));
    await worker.sweep();
    expect(await statusOf("multiple_variants")).toBe("healthy");
    await expose(id, ["control", "treatment"], people(30, "both"));
    await worker.sweep();
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await came(id, 2);
    expect(new Set(receiver.about(id).map(({ headers }) => headers["webhook-id"])).size).toBe(2);
    expect(changes()).toHaveLength(2);
  });

  it("begins anew when the experiment is defined otherwise, or another has its name", async () => {
    const { id, changes } = await unhealthy(worker);
    await worker.sweep();
    await came(id, 1);
    const definition = { environment_key: "env", feature_name: id };
    const from = (ms: number) => ({ ...definition, started_at: new Date(STARTED + ms).toISOString() });
    const put = async (ms: number) => {
      const { json } = await worker.call("PUT", `/v1/experiments/${id}`, from(ms));
      await until(
        () => worker.exposures(id),
        ({ computed_at, refresh_requested_at }) =>
          computed_at !== null && refresh_requested_at === null && computed_at >= json.updated_at,
      );
    };
    await put(1000);
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await came(id, 2);
    await worker.call("DELETE", `/v1/experiments/${id}`);
    expect(await worker.select(`SELECT * FROM health_watches WHERE experiment_id = '${id}'`)).toEqual([]);
    await put(1000);
    expect(changes()).toHaveLength(2);
    await worker.sweep();
    await came(id, 3);
  });
});

describe("an experiment that is defined otherwise", () => {
  it("is told of as if nothing had been told before, though it was well at first", async () => {
    const { id, changes } = await unhealthy(worker);
    await worker.sweep();
    await came(id, 1);
    const other = `${id}-other`;
    const started_at = new Date(STARTED).toISOString();
    await worker.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: other, started_at });
    await until(
      () => worker.exposures(id),
      ({ exposures }) => exposures?.total_identities === 0,
    );
    await expose(other, ["control", "treatment"], people(1));
    await worker.sweep();
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await came(id, 2);
  });
});

describe("an alert", () => {
  it("that is not taken is sent again, the same one, until it is", async () => {
    const { id, events } = await unhealthy(worker);
    receiver.answers.push({ status: 500 });
    await worker.sweep();
    const alerts = await came(id, 2);
    expect(new Set(alerts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(alerts.map(({ body }) => body)).size).toBe(1);
    for (const { body, headers } of alerts) new Webhook(WEBHOOK_SECRET).verify(body, headers);
    await until(events, (lines) => lines.includes("alert.delivered"));
    expect(events().filter((event) => event.startsWith("alert."))).toEqual(["alert.failed", "alert.delivered"]);
    await until(
      () => worker.select("SELECT id FROM alerts"),
      ({ length }) => length === 0,
    );
  }, 90_000);

  it("goes nowhere but to that URL: a redirect is not followed", async () => {
    const { id } = await unhealthy(worker);
    receiver.answers.push({ status: 307, headers: { Location: new URL("/elsewhere", receiver.url).href } });
    await worker.sweep();
    const alerts = await came(id, 2);
    expect(new Set(alerts.map(({ path }) => path))).toEqual(new Set(["/hook?key=of-the-test"]));
  }, 90_000);

  it("tells nobody the URL: not the log, and no answer", async () => {
    const { id } = await unhealthy(worker);
    receiver.answers.push({ status: 500 });
    await worker.sweep();
    await came(id, 1);
    expect(worker.lines().join("\n")).not.toContain("of-the-test");
    expect((await worker.call("GET", `/v1/experiments/${id}/exposures`)).text).not.toContain("of-the-test");
  });
});

describe("without ALERT_WEBHOOK_URL", () => {
  it("a change of health is a line of the log, and nothing is kept for later", async () => {
    const silent = await startWorker(warehouse.settings);
    try {
      const { changes } = await unhealthy(silent);
      await silent.sweep();
      await until(changes, ({ length }) => length === 1);
      expect(await silent.select("SELECT * FROM alerts")).toEqual([]);
    } finally {
      await silent.stop();
    }
  });
});

describe("an alert of a service that is killed", () => {
  it("is delivered by the next one, as the receiver was away", async () => {
    const port = await freePort();
    const vars = { ALERT_WEBHOOK_URL: `http://127.0.0.1:${port}/hook` };
    const lasting = await startLastingWorker(warehouse.settings, vars);
    try {
      const { id, events } = await unhealthy(lasting);
      await lasting.sweep();
      await until(events, (lines) => lines.includes("alert.failed"));
      await lasting.restart();
      const back = await startReceiver(port);
      await came(id, 1, back);
      await until(
        () => lasting.query("SELECT id FROM alerts"),
        ({ length }) => length === 0,
      );
      await back.stop();
    } finally {
      await lasting.stop();
    }
  }, 120_000);
});
