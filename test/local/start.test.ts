import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { prepareWarehouse } from "../../src/dev/local-warehouse.ts";
import { type Stoppable, startWorker } from "../../src/dev/local-worker.ts";
import { freePort } from "../support/free-port.ts";
import {
  cleanups,
  commandOf,
  createFolder,
  type Environment,
  launch,
  onWarehouse,
  type Run,
  start,
  stopRunsAfterAll,
  texts,
} from "../support/local-run.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { until } from "../support/worker.ts";

const experiment = {
  environment_key: "env",
  feature_name: "button",
  started_at: new Date(Date.now() - 86_400_000).toISOString(),
};

const DAY = 86_400_000;
let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let launchedAt: number;
/** Has the demo and default settings, except for ports and folder. */
let demo: Run;
/** Has no demo, sweeps, and has its own tokens. */
let bare: Run;
/** Uses the external warehouse through the proxy. */
let external: Run;
const TOKENS = { ADMIN_TOKEN: "admin-token-of-the-test", READ_TOKEN: "read-token-of-the-test" };

stopRunsAfterAll();
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  cleanups.push(() => proxy.stop());
  launchedAt = Date.now();
  demo = await start({});
  bare = await start({ DEMO: 0, SWEEP_SECONDS: 2, ...TOKENS });
  external = await start({ REFRESH_MIN_INTERVAL_SECONDS: 3, ...onWarehouse(proxy) });
  await Promise.all([demo, bare, external].map((run) => run.ready()));
});

describe("npm start", () => {
  it("prints one line with its URL, and serves requests there", async () => {
    const lines = demo.output.stdout.split("\n").filter((line) => line.includes("is ready on"));
    expect(lines).toEqual([expect.stringMatching(new RegExp(`is ready on ${demo.origin}$`))]);
    expect(await demo.call("GET", "/healthz")).toEqual({ status: 200, json: { status: "ok" } });
  });

  it("writes nothing to stderr without an error", () => {
    for (const run of [demo, bare, external]) expect(run.errorLines()).toEqual([]);
  });

  it("prints a working curl command", async () => {
    const [, name = "", value = "", url = ""] = /^ *curl -H '(\S+): (.*)' '(.*)'$/m.exec(demo.output.stdout) ?? [];
    const response = await fetch(url, { headers: { [name]: value } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ exposures: { total_identities: expect.any(Number) } });
  });

  it.each([
    { id: "checkout-cta", granularity: "hour", variants: ["control", "treatment"], excluded: expect.any(Number) },
    { id: "onboarding-flow", granularity: "day", variants: ["three", "four", "five"], excluded: 0 },
    { id: "pricing-page", granularity: "day", variants: ["control", "yearly", "legacy"], excluded: expect.any(Number) },
  ])("has the demo experiment $id with $granularity buckets", async ({ id, ...expected }) => {
    expect((await demo.call("GET", `/v1/experiments/${id}`)).json).toMatchObject({ id, status: "running" });
    const { exposures, last_error_at } = await demo.exposures(id);
    expect(last_error_at).toBeNull();
    expect(exposures.timeseries.granularity).toBe(expected.granularity);
    expect(Object.keys(exposures.variants)).toEqual(expected.variants);
    for (const identities of Object.values(exposures.variants)) expect(identities).toBeGreaterThan(0);
    expect(exposures.excluded_identities).toEqual(expected.excluded);
  });

  it("has a demo experiment whose identities switch variants, and whose newest SDK version loses one of them", async () => {
    const { exposures } = await demo.exposures("pricing-page");
    expect(exposures.excluded_identities).toBeGreaterThan(100);
    expect(exposures.health.checks[0]).toMatchObject({
      name: "sample_ratio",
      status: "unhealthy",
      causes: [{ dimension: "sdk_version", value: "4.3.0", is_fair_without: true }],
    });
  });

  it("fires the Cron Trigger at /cdn-cgi/local/scheduled", async () => {
    const before = await demo.exposures("onboarding-flow");
    const response = await fetch(`${demo.origin}/cdn-cgi/local/scheduled`);
    expect(response.status).toBe(200);
    await response.body?.cancel();
    const after = await demo.exposures("onboarding-flow");
    expect(Date.parse(after.as_of)).toBeGreaterThan(Date.parse(before.as_of));
    expect(after.exposures.total_identities).toBeGreaterThanOrEqual(before.exposures.total_identities);
  });

  it("has no experiments with DEMO=0", async () => {
    expect((await bare.call("GET", "/v1/experiments")).json).toEqual({ experiments: [], next_cursor: null });
  });

  it("uses the tokens of the environment instead of its defaults", async () => {
    const status = async (token: string) =>
      (await bare.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${token}` })).status;
    expect(await status(TOKENS.ADMIN_TOKEN)).toBe(200);
    expect(await status(TOKENS.READ_TOKEN)).toBe(200);
    expect(await status("dev-admin")).toBe(401);
    expect(await status("dev-read")).toBe(401);
  });

  it("sweeps every SWEEP_SECONDS", async () => {
    expect((await bare.call("PUT", "/v1/experiments/swept", experiment)).status).toBe(201);
    const first = await until(
      () => bare.exposures("swept"),
      ({ as_of }) => as_of !== null,
    );
    const sweeps = () => bare.logLines().filter((line) => line.includes('"sweep.finished"')).length;
    const before = sweeps();
    await until(sweeps, (count) => count >= before + 2);
    const { as_of } = await bare.exposures("swept");
    expect(Date.parse(as_of) - Date.parse(first.as_of)).toBeGreaterThan(1000);
  });

  it("starts a warehouse only without CLICKHOUSE_URL, and does not write to an external one", async () => {
    const warehouses = (run: Run) =>
      run.runningProcesses().filter((process) => commandOf(process).includes("warehouse-process"));
    expect(warehouses(demo)).toHaveLength(1);
    expect(warehouses(external)).toEqual([]);
    expect(await external.experiments()).toEqual([]);
    expect((await external.call("GET", "/v1/warehouse/check")).status).toBe(200);
  });

  it("logs one JSON object with an event per line, without tokens or secrets", async () => {
    await demo.call("GET", "/v1/experiments", undefined, { Authorization: "Bearer wrong-token-of-the-test" });
    await demo.call("POST", "/webhooks/refresh", {}, { "webhook-signature": "v1,wrong-signature-of-the-test" });
    await demo.sendWebhook("checkout-cta");
    await until(
      () => demo.logLines(),
      (lines) => lines.some((line) => line.includes('"webhook.accepted"')),
    );
    const secrets = ["dev-admin", "dev-read", "dev-flagsmith", "whsec_", "of-the-test", users.owner.password];
    for (const line of [demo, bare, external].flatMap((run) => run.logLines())) {
      expect(JSON.parse(line)).toMatchObject({ event: expect.any(String), level: expect.any(String) });
      for (const secret of secrets) expect(line).not.toContain(secret);
    }
  });
});

describe("npm run doctor", () => {
  /** Checks the demo's run. Returns the exit code and the output. */
  async function runDoctor(env: Environment = {}) {
    const child = spawn(process.execPath, ["src/dev/doctor.ts"], {
      env: { ...process.env, ...texts({ ...demo.env, ...env }) },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        output += data;
      });
    const [code] = await once(child, "close");
    return { code, output };
  }

  it("exits with 0 and finds no problem in the local run", async () => {
    const subjects = ["service", "settings", "database", "token", "ClickHouse", "sweeps", "clock"];
    const output = [demo.origin, ...subjects.map((subject) => `  ok     ${subject}`), ""].join("\n");
    expect(await runDoctor()).toEqual({ code: 0, output });
  });

  it("exits with 1 when the token is wrong, and does not print it", async () => {
    const { code, output } = await runDoctor({ ADMIN_TOKEN: "wrong-token-of-the-test" });
    expect(code).toBe(1);
    expect(output).toMatch(/^ {2}wrong {2}token: The service rejects ADMIN_TOKEN\./m);
    expect(output).not.toContain("of-the-test");
  });
});

describe.concurrent("a failed npm start", () => {
  const usedEnvironment = () => demo.env;
  const cases: { condition: string; env: () => Environment | Promise<Environment>; names: RegExp }[] = [
    { condition: "PORT is in use", env: () => ({ PORT: usedEnvironment()["PORT"] ?? "" }), names: /\bPORT\b/ },
    {
      condition: "WAREHOUSE_PORT is in use",
      env: () => ({ WAREHOUSE_PORT: usedEnvironment()["WAREHOUSE_PORT"] ?? "" }),
      names: /\bWAREHOUSE_PORT\b/,
    },
    { condition: "WAREHOUSE_PORT is 0", env: () => ({ WAREHOUSE_PORT: 0, DEMO: 0 }), names: /\bWAREHOUSE_PORT\b/ },
    {
      condition: "several settings are malformed",
      env: () => ({
        PORT: 65_536,
        SWEEP_SECONDS: "often",
        CACHE_SECONDS: "-1",
        WEBHOOK_SECRET: "whsec_!secret-of-the-test",
      }),
      names: /(?=.*\bPORT\b)(?=.*\bSWEEP_SECONDS\b)(?=.*\bCACHE_SECONDS\b)(?=.*\bWEBHOOK_SECRET\b)/,
    },
    {
      condition: "CLICKHOUSE_URL can't be reached",
      env: () => ({ CLICKHOUSE_URL: "http://127.0.0.1:1" }),
      names: /\bCLICKHOUSE_URL\b/,
    },
    {
      condition: "CLICKHOUSE_PASSWORD is wrong",
      env: () => ({ ...onWarehouse(warehouse), CLICKHOUSE_PASSWORD: "wrong-password-of-the-test" }),
      names: /\bCLICKHOUSE_PASSWORD\b/,
    },
    {
      condition: "STATE_DIR is in use",
      env: () => ({ STATE_DIR: usedEnvironment()["STATE_DIR"] ?? "" }),
      names: /\brunning\b|\bin use\b/,
    },
    {
      condition: "STATE_DIR is in use by a run with the same CLICKHOUSE_URL",
      env: () => ({ ...onWarehouse(warehouse), STATE_DIR: external.env["STATE_DIR"] ?? "" }),
      names: /\brunning\b|\bin use\b/,
    },
    {
      condition: "STATE_DIR is a file",
      env: () => {
        const file = join(createFolder(), "file");
        writeFileSync(file, "");
        return { STATE_DIR: file };
      },
      names: /\bSTATE_DIR\b/,
    },
    {
      condition: "PORT and WAREHOUSE_PORT are the same",
      env: async () => {
        const port = await freePort();
        return { PORT: port, WAREHOUSE_PORT: port };
      },
      names: /\bWAREHOUSE_PORT\b/,
    },
  ];

  it.for(cases)("exits with one line when $condition", async ({ condition, env, names }, { onTestFinished }) => {
    const run = await start(await env(), condition === "PORT is in use" ? "start" : null);
    onTestFinished(() => run.kill());
    expect(await run.outcome(), "an exit code").toBeTypeOf("number");
    await run.waitForExit();
    expect(await run.outcome()).not.toBe(0);
    expect(run.errorLines()).toEqual([expect.stringMatching(/^edge-exposures can't start: /)]);
    expect(run.output.stderr).toMatch(names);
    expect(run.output.stdout + run.output.stderr).not.toContain("of-the-test");
  });
});

describe("a signal to a run", () => {
  it("ends all processes after SIGINT to npm", async () => {
    expect(bare.runningProcesses().length).toBeGreaterThanOrEqual(4);
    bare.signal("SIGINT", "npm");
    await bare.waitForExit();
    expect(bare.errorLines()).toEqual([]);
  });

  const cases = [
    {
      moment: "while the warehouse starts",
      process: "warehouse-process",
      signal: "SIGTERM",
      to: "npm",
      embedded: true,
    },
    { moment: "while the Worker is built", process: "wrangler", signal: "SIGTERM", to: "npm", embedded: false },
    {
      moment: "while the Worker is built",
      process: "wrangler",
      signal: "SIGINT",
      to: "the whole group",
      embedded: false,
    },
    { moment: "while the Worker starts", process: "workerd", signal: "SIGTERM", to: "npm", embedded: false },
  ] as const;
  it.concurrent.for(cases)(
    "ends all processes after $signal to $to $moment",
    async ({ process, signal, to, embedded }, { onTestFinished }) => {
      const run = await start({ BUILD_CACHE_DIR: createFolder(), ...(embedded ? {} : onWarehouse(warehouse)) });
      onTestFinished(() => run.kill());
      await until(
        () => run.runningProcesses(),
        (processes) => processes.some((running) => commandOf(running).includes(process)),
      );
      run.signal(signal, to);
      await run.waitForExit();
      expect(run.errorLines()).toEqual([]);
      expect(run.output.stdout).not.toContain("is ready on");
    },
  );
});

describe("accepted requests after all processes are killed", () => {
  it("are refreshed after the next start, which keeps experiments and events", async () => {
    const kept = await demo.experiments();
    const before = await demo.exposures("onboarding-flow");
    const events = await demo.countEvents(launchedAt);
    expect(events).toBeGreaterThan(1000);

    const manual = await demo.call("POST", "/v1/experiments/checkout-cta/exposures/refresh");
    expect(manual.status).toBe(202);
    const webhook = await demo.sendWebhook("checkout-cta");
    expect(webhook).toEqual({ status: 202, json: { accepted: ["checkout-cta"], skipped: [] } });
    expect((await demo.exposures("checkout-cta")).refresh_requested_at, "delayed").not.toBeNull();
    demo.signal("SIGKILL", "the whole group");
    await demo.waitForExit();

    const restarted = await launch(demo.env).ready();
    const served = await until(
      () => restarted.exposures("checkout-cta"),
      ({ refresh_requested_at }) => refresh_requested_at === null,
    );
    expect(Date.parse(served.as_of)).toBeGreaterThan(Date.parse(manual.json.refresh_requested_at));

    expect(await restarted.experiments(), "experiments are unchanged").toEqual(kept);
    expect(await restarted.countEvents(launchedAt), "no event is duplicated").toBe(events);
    const after = await restarted.exposures("onboarding-flow");
    const past = ({ exposures }: { exposures: { timeseries: { points: { bucket: string }[] } } }) =>
      exposures.timeseries.points.filter(({ bucket }) => Date.parse(bucket) + DAY <= launchedAt);
    expect(past(before).length).toBeGreaterThan(20);
    expect(past(after)).toEqual(past(before));

    restarted.signal("SIGTERM", "npm");
    await restarted.waitForExit();
    expect(restarted.errorLines()).toEqual([]);
  });

  /** Starts the Worker on the state of a killed run. Without sweeps, only the alarms of Durable Objects refresh. */
  async function startWithoutSweep({ env }: Run) {
    const parts: Stoppable[] = [];
    const stop = async () => {
      for (const part of parts.splice(0)) await part.stop();
    };
    cleanups.push(stop);
    const bindings = { ...texts(env), ADMIN_TOKEN: "dev-admin" };
    const { url } = await startWorker(String(env["STATE_DIR"]), 0, bindings, (part) => parts.push(part));
    const headers = { Authorization: "Bearer dev-admin" };
    const exposures = async (id: string) =>
      (await fetch(new URL(`/v1/experiments/${id}/exposures`, url), { headers })).json();
    return { exposures, stop };
  }

  it("are completed by the Durable Object's alarm alone, in flight or delayed", async () => {
    for (const id of ["manual", "webhook"]) {
      const put = await external.call("PUT", `/v1/experiments/${id}`, { ...experiment, feature_name: id });
      expect(put.status).toBe(201);
      await until(
        () => external.exposures(id),
        ({ as_of, refresh_requested_at }) => as_of !== null && refresh_requested_at === null,
      );
    }
    // The second webhook waits for the end of the interval. The manual request waits for its query.
    const firstWebhookAt = Date.now();
    await external.sendWebhook("webhook");
    await until(
      () => external.exposures("webhook"),
      ({ refresh_requested_at }) => refresh_requested_at === null,
    );
    expect((await external.sendWebhook("webhook")).json.accepted).toEqual(["webhook"]);
    proxy.closeGate();
    expect((await external.call("POST", "/v1/experiments/manual/exposures/refresh")).status).toBe(202);
    await until(
      () => proxy.state.waiting,
      (waiting) => waiting > 0,
    );
    const requested = {
      manual: (await external.exposures("manual")).refresh_requested_at,
      webhook: (await external.exposures("webhook")).refresh_requested_at,
    };
    expect(requested).toEqual({ manual: expect.any(String), webhook: expect.any(String) });
    external.signal("SIGKILL", "the whole group");
    await external.waitForExit();
    proxy.openGate();

    const log = vi.spyOn(console, "log").mockReturnValue();
    const { exposures, stop } = await startWithoutSweep(external);
    const served = async (id: string) =>
      until(
        () => exposures(id),
        ({ refresh_requested_at }) => refresh_requested_at === null,
      );
    const [manual, webhook] = [await served("manual"), await served("webhook")];
    expect(Date.parse(manual.as_of)).toBeGreaterThan(Date.parse(requested.manual));
    expect(Date.parse(webhook.as_of), "after the interval").toBeGreaterThanOrEqual(firstWebhookAt + 3000);
    await stop();
    const lines = log.mock.calls.join("\n");
    log.mockRestore();
    expect(lines.match(/"refresh\.succeeded"/g)?.length).toBeGreaterThanOrEqual(2);
    expect(lines).not.toContain("sweep.finished");
  });
});

describe("a signal during a sweep", () => {
  it("ends the run without errors", async () => {
    const run = await launch({ ...external.env, SWEEP_SECONDS: 1 }).ready();
    proxy.closeGate();
    await until(
      () => proxy.state.waiting,
      (waiting) => waiting > 0,
    );
    run.signal("SIGINT", "the whole group");
    await run.waitForExit();
    proxy.openGate();
    expect(run.errorLines()).toEqual([]);
  });
});

describe("the local warehouse", () => {
  it("accepts a password with quotes, spaces and non-ASCII characters", async () => {
    await prepareWarehouse({ ...warehouse.settings, password: users.owner.password });
  });
});
