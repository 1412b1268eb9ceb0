import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ALERT_SECRET, deleteExperiments, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const STARTED = Date.now() - 2 * HOUR;

let warehouse: TestWarehouse;
let receiver: Receiver;
let worker: TestWorker;
let experimentCount = 0;

beforeAll(async () => {
  warehouse = await createWarehouse();
  receiver = await startReceiver();
  worker = await startWorker(warehouse.settings, { ALERT_WEBHOOK_URL: receiver.url.href });
});
// A sweep refreshes every experiment, so each test leaves none behind.
afterEach(() => deleteExperiments(worker));
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
const identities = (count: number, prefix = "identity") =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

/** Creates a running experiment in which one of two identities saw both variants, and waits for its first refresh. */
async function createUnhealthy(target: Pick<TestWorker, "call" | "exposures" | "logs">) {
  const id = `alerts-${++experimentCount}`;
  await expose(id, ["control", "treatment"], identities(1, "both"));
  await expose(id, ["control"], identities(1));
  const started_at = new Date(STARTED).toISOString();
  await target.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: id, started_at });
  await until(
    () => target.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );
  return {
    id,
    changes: () => target.logs().filter((line) => line.event === "health.changed" && line["experiment_id"] === id),
    events: () => target.logs().flatMap((line) => (line["experiment_id"] === id ? line.event : [])),
    statusOf: async (check: string) => {
      const { exposures } = await target.exposures(id);
      return exposures.health.checks.find(({ name }: { name: string }) => name === check).status;
    },
  };
}

const waitForAlerts = (id: string, count: number, at = receiver) =>
  until(
    () => at.deliveriesFor(id),
    ({ length }) => length >= count,
    { seconds: 60 },
  );

describe("a health alert", () => {
  it("is signed, and is sent and logged once after two unhealthy refreshes in a row", async () => {
    const { id, changes, statusOf } = await createUnhealthy(worker);
    expect(await statusOf("multiple_variants")).toBe("unhealthy");
    expect(changes()).toEqual([]);
    expect(receiver.deliveriesFor(id)).toEqual([]);

    for (let refresh = 2; refresh <= 4; refresh += 1) expect(await worker.sweep()).toBe(true);
    const [alert] = await waitForAlerts(id, 1);
    expect(alert?.path).toBe("/hook?key=of-the-test");
    expect(alert?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": expect.stringMatching(/^msg_/),
    });
    const payload = new Webhook(ALERT_SECRET).verify(alert?.body ?? "", alert?.headers ?? {});
    expect(payload).toEqual({
      type: "health.changed",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      data: {
        experiment_id: id,
        name: id,
        environment_key: "env",
        feature_name: id,
        check: "multiple_variants",
        status: "unhealthy",
        title: `${id}: multiple_variants unhealthy`,
        detail: expect.stringContaining("1 of 2 identities"),
        cause: expect.any(String),
        as_of: expect.any(String),
      },
    });
    await until(changes, ({ length }) => length > 0);
    expect(changes()).toMatchObject([{ level: "info", check: "multiple_variants", status: "unhealthy" }]);
    expect(receiver.deliveriesFor(id)).toHaveLength(1);
  });

  it("is resolved after two healthy refreshes in a row, and sent again when the check turns unhealthy again", async () => {
    const { id, changes, statusOf } = await createUnhealthy(worker);
    await worker.sweep();
    await waitForAlerts(id, 1);
    await expose(id, ["control"], identities(20, "single"));
    await worker.sweep();
    expect(await statusOf("multiple_variants")).toBe("healthy");
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await waitForAlerts(id, 2);
    await expose(id, ["control", "treatment"], identities(30, "both"));
    await worker.sweep();
    await worker.sweep();
    const alerts = await waitForAlerts(id, 3);
    expect(new Set(alerts.map(({ headers }) => headers["webhook-id"])).size).toBe(3);
    expect(alerts.map(({ body }) => JSON.parse(body))).toMatchObject([
      { type: "health.changed", data: { check: "multiple_variants", status: "unhealthy" } },
      { type: "resolved", data: { alert: "health.changed", check: "multiple_variants", status: "healthy" } },
      { type: "health.changed", data: { check: "multiple_variants", status: "unhealthy" } },
    ]);
    expect(changes().map(({ status }) => status)).toEqual(["unhealthy", "resolved", "unhealthy"]);
  });

  it("is sent again after a new definition, or for a new experiment with the same id", async () => {
    const { id, changes } = await createUnhealthy(worker);
    await worker.sweep();
    await waitForAlerts(id, 1);
    const definition = { environment_key: "env", feature_name: id };
    const definitionFrom = (ms: number) => ({ ...definition, started_at: new Date(STARTED + ms).toISOString() });
    const put = async (ms: number) => {
      const { json } = await worker.call("PUT", `/v1/experiments/${id}`, definitionFrom(ms));
      await until(
        () => worker.exposures(id),
        ({ computed_at, refresh_requested_at }) =>
          computed_at !== null && refresh_requested_at === null && computed_at >= json.updated_at,
      );
    };
    await put(1000);
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await waitForAlerts(id, 2);
    await worker.call("DELETE", `/v1/experiments/${id}`);
    expect(await worker.select(`SELECT * FROM health_histories WHERE experiment_id = '${id}'`)).toEqual([]);
    await put(1000);
    expect(changes()).toHaveLength(2);
    await worker.sweep();
    await waitForAlerts(id, 3);
  });

  it("is sent again after a new definition that was healthy at first", async () => {
    const { id, changes } = await createUnhealthy(worker);
    await worker.sweep();
    await waitForAlerts(id, 1);
    const other = `${id}-other`;
    const started_at = new Date(STARTED).toISOString();
    await worker.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: other, started_at });
    await until(
      () => worker.exposures(id),
      ({ exposures }) => exposures?.total_identities === 0,
    );
    await expose(other, ["control", "treatment"], identities(1));
    await worker.sweep();
    expect(changes()).toHaveLength(1);
    await worker.sweep();
    await waitForAlerts(id, 2);
  });
});

describe("a results alert", () => {
  it("is signed, and is sent and logged once after two refreshes in a row with the decision", async () => {
    const id = `alerts-${++experimentCount}`;
    const purchase = { key: "purchase", name: "Purchases", event: "purchase", aggregation: "sum" };
    const goal = { ...purchase, expected_direction: "increase" };
    const guardrail = { ...purchase, key: "refund", name: "<!channel>\n", expected_direction: "not_increase" };
    await warehouse.insert(
      identities(200, id).flatMap((identifier, index) => {
        const of = { environment_key: "env", feature_name: id, identifier, timestamp: STARTED + HOUR };
        const [value, amount] = index % 2 === 0 ? ["control", 10] : ["treatment", 12];
        return [
          { ...of, value },
          { ...of, event: "purchase", value: String(amount + (index % 10)) },
        ];
      }),
    );
    const put = async (metrics: readonly object[]) => {
      const variants = ["control", "treatment"].map((key) => ({ key, weight: 1 }));
      const definition = { environment_key: "env", feature_name: id, variants, metrics };
      const started_at = new Date(STARTED).toISOString();
      await worker.call("PUT", `/v1/experiments/${id}`, { ...definition, started_at });
      return until(
        async () => (await worker.call("GET", `/v1/experiments/${id}/results`)).json,
        ({ as_of, refresh_requested_at }) => as_of !== null && refresh_requested_at === null,
      );
    };
    const changes = () =>
      worker.logs().filter((line) => line.event === "results.changed" && line["experiment_id"] === id);
    const [{ comparisons }] = (await put([goal, guardrail])).results.metrics;
    expect(comparisons.treatment.verdict).toBe("winning");
    expect(changes()).toEqual([]);

    for (let refresh = 2; refresh <= 3; refresh += 1) expect(await worker.sweep()).toBe(true);
    const alerts = (await waitForAlerts(id, 2)).map(({ body, headers }) => {
      expect(new Webhook(ALERT_SECRET).verify(body, headers)).toEqual(JSON.parse(body));
      return JSON.parse(body);
    });
    const { lift, interval, p_value } = comparisons.treatment;
    const figures = { variant: "treatment", lift, interval, p_value, health: "healthy", as_of: expect.any(String) };
    expect(alerts.sort((a, b) => (a.data.verdict < b.data.verdict ? 1 : -1))).toMatchObject([
      {
        type: "results.changed",
        data: { ...figures, metric: { key: "purchase", name: "Purchases" }, verdict: "winning" },
      },
      {
        type: "results.changed",
        data: { ...figures, metric: { key: "refund", name: "<!channel>\n" }, verdict: "harmed" },
      },
    ]);
    expect(alerts[0].data.title).toBe(`${id}: Purchases: "treatment" is winning`);
    await until(changes, ({ length }) => length >= 2);
    const line = { level: "info", metric: "purchase", variant: "treatment", detail: alerts[0].data.detail };
    expect(changes()).toEqual([
      expect.objectContaining({ ...line, status: "winning" }),
      expect.objectContaining({ metric: "refund", status: "harmed" }),
    ]);

    await put([{ ...goal, name: "Orders" }]);
    const [, , resolved] = await waitForAlerts(id, 3);
    expect(JSON.parse(resolved?.body ?? "")).toMatchObject({
      type: "resolved",
      data: { alert: "results.changed", metric: { key: "refund" }, verdict: null, lift: null, interval: null },
    });
  });
});

describe("POST /v1/alerts/test", () => {
  it("sends a signed alert through the same queue, once", async () => {
    const { status, json } = await worker.call("POST", "/v1/alerts/test");
    expect([status, json]).toEqual([202, { alert_id: expect.stringMatching(/^msg_/) }]);
    const sent = () => receiver.received.filter(({ headers }) => headers["webhook-id"] === json.alert_id);
    const [alert] = await until(sent, ({ length }) => length > 0);
    expect(new Webhook(ALERT_SECRET).verify(alert?.body ?? "", alert?.headers ?? {})).toEqual({
      type: "test",
      timestamp: expect.any(String),
      data: { title: "Test alert", detail: "Alerts arrive here. Sent with ADMIN_TOKEN." },
    });
    await until(
      () => worker.select("SELECT id FROM alerts"),
      ({ length }) => length === 0,
    );
    expect(sent()).toHaveLength(1);
  });
});

describe("failing refreshes", () => {
  it("are alerted after the sweep once they have failed for an hour, and resolved after the one that succeeds", async () => {
    const id = `failing-${++experimentCount}`;
    const [started_at, ended_at] = [STARTED - 2 * HOUR, STARTED].map((time) => new Date(time).toISOString());
    await worker.call("PUT", `/v1/experiments/${id}`, {
      environment_key: "env",
      feature_name: id,
      started_at,
      ended_at,
    });
    await until(
      () => worker.exposures(id),
      ({ is_final }) => is_final,
    );
    // Sweeps leave a final experiment alone, so that it still has this failure after the sweep.
    const failure = `'${id}', ${Date.now() - HOUR}, 'unreachable'`;
    await worker.execute(`INSERT INTO refresh_failures (experiment_id, since, kind) VALUES (${failure})`);
    await worker.sweep();
    const sent = (type: string) =>
      receiver.received.map(({ body }) => JSON.parse(body)).filter((alert) => alert.type === type);
    const [alert] = await until(
      () => sent("refresh.failing"),
      ({ length }) => length > 0,
    );
    expect(alert.data).toMatchObject({ experiments: 1, experiment_ids: [id], kind: "unreachable" });

    await worker.execute(`DELETE FROM refresh_failures WHERE experiment_id = '${id}'`);
    await worker.sweep();
    await until(
      () => sent("resolved").filter(({ data }) => data.alert === "refresh.failing"),
      ({ length }) => length === 1,
    );
    expect(sent("refresh.failing")).toHaveLength(1);
  });
});

describe("alert delivery", () => {
  it("is retried with the same id and body until the receiver accepts it", async () => {
    const { id, events } = await createUnhealthy(worker);
    receiver.responses.push({ status: 500 });
    await worker.sweep();
    const alerts = await waitForAlerts(id, 2);
    expect(new Set(alerts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(alerts.map(({ body }) => body)).size).toBe(1);
    for (const { body, headers } of alerts) new Webhook(ALERT_SECRET).verify(body, headers);
    await until(events, (lines) => lines.includes("alert.delivered"));
    expect(events().filter((event) => event.startsWith("alert."))).toEqual(["alert.failed", "alert.delivered"]);
    await until(
      () => worker.select("SELECT id FROM alerts"),
      ({ length }) => length === 0,
    );
  });

  it("does not follow redirects", async () => {
    const { id } = await createUnhealthy(worker);
    receiver.responses.push({ status: 307, headers: { Location: new URL("/elsewhere", receiver.url).href } });
    await worker.sweep();
    const alerts = await waitForAlerts(id, 2);
    expect(new Set(alerts.map(({ path }) => path))).toEqual(new Set(["/hook?key=of-the-test"]));
  });

  it("reveals the URL neither in the log nor in a response", async () => {
    const { id } = await createUnhealthy(worker);
    receiver.responses.push({ status: 500 });
    await worker.sweep();
    await waitForAlerts(id, 1);
    expect(worker.lines().join("\n")).not.toContain("of-the-test");
    expect((await worker.call("GET", `/v1/experiments/${id}/exposures`)).text).not.toContain("of-the-test");
  });
});

describe("without ALERT_WEBHOOK_URL", () => {
  it("logs a change of health and stores no alert", async () => {
    const withoutAlerts = await startWorker(warehouse.settings);
    try {
      const { changes } = await createUnhealthy(withoutAlerts);
      await withoutAlerts.sweep();
      await until(changes, ({ length }) => length === 1);
      expect((await withoutAlerts.call("POST", "/v1/alerts/test")).status).toBe(409);
      expect(await withoutAlerts.select("SELECT * FROM alerts")).toEqual([]);
    } finally {
      await withoutAlerts.stop();
    }
  });
});

describe("a restarted service", () => {
  it("delivers the alerts that failed before", async () => {
    const port = await freePort();
    const vars = { ALERT_WEBHOOK_URL: `http://127.0.0.1:${port}/hook` };
    const restartable = await startWorker(warehouse.settings, vars);
    try {
      const { id, events } = await createUnhealthy(restartable);
      await restartable.sweep();
      await until(events, (lines) => lines.includes("alert.failed"));
      await restartable.restart();
      const restarted = await startReceiver(port);
      await waitForAlerts(id, 1, restarted);
      await until(
        () => restartable.query("SELECT id FROM alerts"),
        ({ length }) => length === 0,
      );
      await restarted.stop();
    } finally {
      await restartable.stop();
    }
  });
});
