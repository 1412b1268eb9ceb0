import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveArguments } from "../../src/deno/serve-arguments.ts";
import { settingNames } from "../../src/settings.ts";
import { freePort } from "../support/free-port.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, ALERT_SECRET, until, varsFor } from "../support/worker.ts";

const headers = { Authorization: `Bearer ${ADMIN}` };

let proxy: WarehouseProxy;
/** A checkout without package.json and tests, as on a machine without Node. */
let checkout: string;
beforeAll(async () => {
  proxy = await startProxy((await createWarehouse()).settings);
  checkout = mkdtempSync(join(tmpdir(), "edge-exposures-checkout-"));
  for (const folder of ["src", "migrations"]) cpSync(folder, join(checkout, folder), { recursive: true });
  // Deno uses these packages instead of its cache, because tests must not download anything.
  const config = join(checkout, "src/deno/deno.json");
  const { imports, ...rest } = JSON.parse(readFileSync(config, "utf8"));
  writeFileSync(config, JSON.stringify({ nodeModulesDir: "manual", imports, ...rest }));
  for (const name of Object.keys(imports).filter((name) => !name.endsWith("/"))) {
    const link = join(checkout, "src/deno/node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve("node_modules", name), link);
  }
});
afterAll(() => {
  proxy.stop();
  rmSync(checkout, { recursive: true });
});

/** Runs Deno in the checkout. */
function run(args: string[], env: Record<string, string>) {
  const child = spawn("deno", args, {
    cwd: checkout,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const written = { output: "" };
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      written.output += data;
    });
  const exited = once(child, "exit").then(([code]) => code);
  return { child, written, exited };
}

/** The lines of the log. Throws if there is any other line, except the one of `deno task`. */
function linesOf(output: string): Record<string, unknown>[] {
  const lines = output.split("\n").filter((line) => line !== "" && !line.startsWith("Task start "));
  return lines.map((line) => JSON.parse(line));
}

describe("the Deno service", () => {
  const task = ["task", "--config", "src/deno/deno.json", "start"];
  const withoutCron = (port: number, env: Record<string, string>) => [
    ...serveArguments({ host: "127.0.0.1", port, stateDir: ".state", env }),
    ...["--config", "src/deno/deno.json", "--frozen", "src/deno.ts"],
  ];

  it.each([
    { start: "the task of deno.json", args: () => task },
    { start: "deno serve without Deno.cron", args: withoutCron },
  ])("starts with $start, serves, and exits with 0 on SIGTERM", async ({ args }) => {
    const port = await freePort();
    const env = varsFor(proxy.settings, { PORT: port });
    const { child, written, exited } = run(args(port, env), env);
    await until(
      () => written.output,
      (output) => output.includes(`http://127.0.0.1:${port}`) || child.exitCode !== null,
    );
    const origin = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${origin}/healthz`)).json()).toEqual({ status: "ok" });
    expect((await fetch(`${origin}/v1/warehouse/check`, { headers })).status).toBe(200);
    expect((await fetch(`${origin}/cdn-cgi/local/scheduled`)).status).toBe(404);
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    await expect(fetch(origin), "no process listens on the port").rejects.toThrow();
    expect(written.output).not.toMatch(/denied|error|warning/i);
  });

  const isPortRange = /^PORT must be a whole number, from 1 to 65535$/;
  it.each([
    { vars: { QUERY_TIMEOUT_SECONDS: "soon" }, event: "settings.invalid", detail: /^QUERY_TIMEOUT_SECONDS must/ },
    { vars: { PORT: "abc" }, event: "settings.invalid", detail: isPortRange },
    { vars: { PORT: "70000" }, event: "settings.invalid", detail: isPortRange },
    { vars: { HOST: "[::1]" }, event: "settings.invalid", detail: /^HOST must be an IP address without brackets/ },
    { vars: { STATE_DIR: "a,b" }, event: "settings.invalid", detail: /^STATE_DIR must be a path without a comma/ },
    { vars: { HOST: "192.0.2.1" }, event: "service.failed", detail: /^HOST is not an address of this machine\. Set / },
    { vars: { HOST: "a.invalid" }, event: "service.failed", detail: /^HOST is not an address of this machine\. Set / },
    {
      vars: { STATE_DIR: "damaged" },
      event: "service.failed",
      detail: /edge-exposures\.sqlite is damaged .* Restore /,
    },
  ])("logs one line and exits with 1 with $vars", async ({ vars, event, detail }) => {
    mkdirSync(join(checkout, "damaged"), { recursive: true });
    writeFileSync(join(checkout, "damaged/edge-exposures.sqlite"), "not a database. ".repeat(100));
    const { written, exited } = run(task, { ...varsFor(proxy.settings, { PORT: await freePort() }), ...vars });
    expect(await exited).toBe(1);
    expect(linesOf(written.output)).toEqual([{ event, level: "error", detail: expect.stringMatching(detail) }]);
  });

  it("logs one line and exits with 1 when PORT is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { written, exited } = run(task, varsFor(proxy.settings, { PORT: String(port) }));
    expect(await exited).toBe(1);
    server.close();
    const detail = expect.stringMatching(/^PORT is in use\. .* set PORT to another port\.$/);
    expect(linesOf(written.output)).toEqual([{ event: "service.failed", level: "error", detail }]);
  });
});

describe("a short token", () => {
  it("suffices on 127.0.0.1 only: on another address the service logs it, and exits with 1", async () => {
    const vars = { HOST: "0.0.0.0", PORT: String(await freePort()), ADMIN_TOKEN: "short" };
    const { written, exited } = run(["task", "--config", "src/deno/deno.json", "start"], varsFor(proxy.settings, vars));
    expect(await exited).toBe(1);
    const detail = expect.stringMatching(/^ADMIN_TOKEN must have at least 16/);
    expect(linesOf(written.output)).toEqual([{ event: "settings.invalid", level: "error", detail }]);
  });
});

describe("the permissions of the Deno service", () => {
  const permissions = (host: string, env: Record<string, string>) =>
    serveArguments({ host, port: 8787, stateDir: "/var/lib/state", env }).filter((arg) => arg.startsWith("--allow-"));
  const net = (host: string, env: Record<string, string>) => permissions(host, env)[0];

  it("cover the port, upstreams, folders and settings", () => {
    const env = {
      CLICKHOUSE_URL: "https://clickhouse.example:8443/proxy",
      ALERT_WEBHOOK_URL: "https://alerts.example/hook",
      ALERT_WEBHOOK_SECRET: ALERT_SECRET,
      FLAGSMITH_API_KEY: "key",
      FLAGSMITH_API_URL: "https://flagsmith.example/api/v1/",
      FLAGSMITH_ENVIRONMENTS: "env",
    };
    expect(permissions("0.0.0.0", env)).toEqual([
      "--allow-net=0.0.0.0:8787,clickhouse.example:8443,flagsmith.example:443,alerts.example:443",
      "--allow-read=migrations/d1,/var/lib/state",
      "--allow-write=/var/lib/state",
      `--allow-env=${settingNames.join(",")},STATE_DIR`,
    ]);
  });

  it("have a row in docs/deploy-deno.md that names the setting of each upstream", () => {
    const row = /^\| network \| (.*) \|$/m.exec(readFileSync("docs/deploy-deno.md", "utf8"));
    const settings = ["CLICKHOUSE_URL", "FLAGSMITH_API_URL", "ALERT_WEBHOOK_URL"];
    for (const setting of settings) expect(row?.[1]).toContain(`\`${setting}\``);
  });

  it("use Deno's notation for hosts", () => {
    expect(net("::1", { CLICKHOUSE_URL: "http://[::1]:8123" })).toBe("--allow-net=[::1]:8787,[::1]:8123");
    expect(net("127.0.0.1", { CLICKHOUSE_URL: "http://clickhouse" })).toBe("--allow-net=127.0.0.1:8787,clickhouse:80");
    expect(net("127.0.0.1", {})).toBe("--allow-net=127.0.0.1:8787,127.0.0.1:8123");
  });

  it("grant access to nothing else", () => {
    const queries = {
      clickhouse: { name: "net", host: "clickhouse.example:443" },
      state: { name: "write", path: "/var/lib/state" },
      migrations: { name: "read", path: "migrations/d1" },
      token: { name: "env", variable: "ADMIN_TOKEN" },
      otherHost: { name: "net", host: "example.com:443" },
      otherPort: { name: "net", host: "127.0.0.1:8123" },
      home: { name: "env", variable: "HOME" },
      etc: { name: "read", path: "/etc" },
      sources: { name: "write", path: "src" },
      run: { name: "run" },
      ffi: { name: "ffi" },
      sys: { name: "sys" },
    };
    const script = `const states = Object.entries(${JSON.stringify(queries)})
      .map(([name, query]) => [name, Deno.permissions.querySync(query).state]);
      console.log(JSON.stringify(states.filter(([, state]) => state === "granted").map(([name]) => name)));`;
    const flags = permissions("127.0.0.1", { CLICKHOUSE_URL: "https://clickhouse.example" });
    const output = execFileSync("deno", ["run", "--no-prompt", ...flags, "-"], { input: script, encoding: "utf8" });
    expect(JSON.parse(output)).toEqual(["clickhouse", "state", "migrations", "token"]);
  });
});
