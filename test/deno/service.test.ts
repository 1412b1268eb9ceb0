import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FAILED_ATTEMPTS } from "../../src/deno/process-limiter.ts";
import { openService, type Service } from "../../src/deno/service.ts";
import { SWEEP_SCHEDULE } from "../../src/refresh/sweep-times.ts";
import { startDeno } from "../support/deno.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until, varsFor } from "../support/worker.ts";

// Less than 30 days ago: sweeps refresh idle experiments only once an hour.
const STARTED = new Date(Date.now() - 86_400_000).toISOString();
const headers = { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" };

let proxy: WarehouseProxy;
beforeAll(async () => {
  proxy = await startProxy((await createWarehouse()).settings);
});
afterAll(() => proxy.stop());

const untilOneHeld = () =>
  until(
    () => proxy.state.waiting,
    (waiting) => waiting === 1,
  );

async function exposuresOf(service: Awaited<ReturnType<typeof startDeno>>, id: string) {
  return (await service.fetch(`/v1/experiments/${id}/exposures`, { headers })).json();
}

function put(service: Awaited<ReturnType<typeof startDeno>>, id: string) {
  const body = JSON.stringify({ environment_key: id, feature_name: id, started_at: STARTED });
  return service.fetch(`/v1/experiments/${id}`, { method: "PUT", headers, body });
}

describe("the service under Deno", () => {
  it("finishes requests and refreshes in flight before it stops, and stores the results", async () => {
    const service = await startDeno(varsFor(proxy.settings));
    proxy.closeGate();
    await put(service, "stopped");
    await untilOneHeld();
    const check = service.fetch("/v1/warehouse/check", { headers });
    await until(
      () => proxy.state.waiting,
      (waiting) => waiting === 2,
    );
    const stopped = service.end("SIGTERM");
    const status = () => service.fetch("/healthz", {}).then((response) => response.status);
    await until(
      () => status().catch(() => "refused"),
      (result) => result !== 200,
    );
    proxy.openGate();
    expect((await check).status).toBe(200);
    expect(await stopped).toBe(0);

    const { queries } = proxy.state;
    await service.run();
    expect(await exposuresOf(service, "stopped")).toMatchObject({ last_error_at: null, refresh_requested_at: null });
    expect((await exposuresOf(service, "stopped")).exposures).not.toBeNull();
    expect(proxy.state.queries).toBe(queries);
    await service.stop();
  });

  it("keeps a second process off its STATE_DIR, also one that npm start has locked", async () => {
    const service = await startDeno(varsFor(proxy.settings));
    const lockOfLocalRun = new DatabaseSync(join(dirname(service.file), "lock"));
    lockOfLocalRun.exec("BEGIN EXCLUSIVE");
    await service.restart();
    lockOfLocalRun.close();
    const second = await openService({}, dirname(service.file));
    expect(second).toMatchObject({ ok: false, failure: { event: "service.failed" } });
    await service.stop();
  });

  it("resumes accepted requests after a kill and restart", async () => {
    const service = await startDeno(varsFor(proxy.settings));
    proxy.closeGate();
    await put(service, "killed");
    await untilOneHeld();
    await service.end("SIGKILL");
    proxy.openGate();
    await service.run();
    await until(
      () => exposuresOf(service, "killed"),
      ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
    );
    await service.stop();
  });

  it("runs one sweep for concurrent triggers", async () => {
    const service = await startDeno(varsFor(proxy.settings));
    await put(service, "swept");
    await until(
      () => exposuresOf(service, "swept"),
      ({ refresh_requested_at, exposures }) => exposures !== null && refresh_requested_at === null,
    );
    proxy.reset();
    proxy.closeGate();
    const sweeps = [service.trigger(Date.now()), service.trigger(Date.now())];
    await untilOneHeld();
    sweeps.push(service.trigger(Date.now()));
    await service.fetch("/healthz", {});
    proxy.openGate();
    expect(await Promise.all(sweeps)).toEqual([true, true, true]);
    expect(proxy.state.queries).toBe(1);
    await service.stop();
  });
});

describe("openService", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-exposures-state-"));
    file = join(folder, "edge-exposures.sqlite");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const failure = (event: string, detail: RegExp) => ({
    ok: false,
    failure: { event, detail: expect.stringMatching(detail) },
  });

  it("returns a failure that names an unusable STATE_DIR or a malformed setting", async () => {
    const unusable = await openService({}, "package.json/state");
    expect(unusable).toEqual(failure("settings.invalid", /^STATE_DIR package\.json\/state is not usable\. /));
    const malformed = await openService({ QUERY_TIMEOUT_SECONDS: "soon" }, "package.json/state");
    expect(malformed).toEqual(failure("settings.invalid", /^QUERY_TIMEOUT_SECONDS /));
  });

  it.each(["DELETE", "WAL"])("returns a failure that names a locked database in journal mode %s", async (mode) => {
    const connection = new DatabaseSync(file);
    connection.exec(`PRAGMA journal_mode = ${mode}; BEGIN IMMEDIATE`);
    const locked = await openService({}, folder);
    connection.close();
    expect(locked).toEqual(failure("service.failed", /edge-exposures\.sqlite is locked by another process\. End /));
  });

  async function open(): Promise<Service> {
    const opened = await openService({}, folder);
    if (!opened.ok) throw new Error(opened.failure.detail);
    return opened.value;
  }

  it("returns a failure when another service uses STATE_DIR and does not stop", async () => {
    const first = await open();
    const second = await openService({}, folder);
    await first.stop();
    const detail = /^STATE_DIR \S+ is in use by another process of the service\. Stop that process, or /;
    expect(second).toEqual(failure("service.failed", detail));
  });

  it("waits for another service on STATE_DIR that is stopping", async () => {
    const first = await open();
    let opened = false;
    const opening = open().finally(() => {
      opened = true;
    });
    await new Promise((wake) => setTimeout(wake, 500));
    expect(opened).toBe(false);
    await first.stop();
    await (await opening).stop();
  });

  it("unlocks STATE_DIR when the database can't be opened", async () => {
    writeFileSync(file, "not a database. ".repeat(100));
    expect(await openService({}, folder)).toMatchObject({ ok: false });
    rmSync(file);
    await (await open()).stop();
  });

  it("returns a failure that names a damaged database", async () => {
    writeFileSync(file, "not a database. ".repeat(100));
    expect(await openService({}, folder)).toEqual(failure("service.failed", /is damaged .*\. Restore a backup/));
  });

  it("returns a failure that names the migration that fails, and why", async () => {
    const connection = new DatabaseSync(file);
    connection.exec("CREATE TABLE experiments (id TEXT)");
    connection.close();
    const detail = /^The migration 0001_\S+\.sql failed: table experiments already exists\. Restore /;
    expect(await openService({}, folder)).toEqual(failure("service.failed", detail));
  });
});

describe("the entry for deno serve", () => {
  it("imports the same package versions as package.json", () => {
    const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));
    const { imports } = JSON.parse(readFileSync("src/deno/deno.json", "utf8"));
    for (const [name, version] of Object.entries(dependencies)) expect(imports[name]).toBe(`npm:${name}@${version}`);
    for (const name of ["hono", "zod"]) expect(imports[`${name}/`]).toBe(`npm:/${name}@${dependencies[name]}/`);
  });

  it("sweeps on the schedule of wrangler.toml", () => {
    expect(readFileSync("wrangler.toml", "utf8")).toContain(`crons = ["${SWEEP_SCHEDULE}"]`);
  });

  it("limits failed attempts like wrangler.toml", () => {
    const { limit, periodSeconds } = FAILED_ATTEMPTS;
    expect(readFileSync("wrangler.toml", "utf8")).toContain(`{ limit = ${limit}, period = ${periodSeconds} }`);
  });
});
