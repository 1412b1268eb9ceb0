import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll } from "vitest";
import type { WarehouseSettings } from "../../src/settings.ts";
import { freePort } from "./free-port.ts";
import { send } from "./http.ts";
import { users } from "./users.ts";
import { until } from "./worker.ts";

// Runs `npm start` or `npm run start:deno` in its own process group, as a user does.

/** Variables of the machine or of the test runner that must not affect a run. */
const NOT_INHERITED =
  /^(CLICKHOUSE_|PORT$|STATE_DIR$|DEMO$|EVENTS_TABLE$|PUBLIC_READ$|VITEST|TEST$|NODE_ENV$|NODE_OPTIONS$)|_(PORT|TOKEN|SECRET|SECONDS)$/;

const runs: { kill(): void; waitForExit(): Promise<unknown> }[] = [];
const folders: string[] = [];
/** Callbacks that run after all tests, once every run is killed. */
export const cleanups: (() => unknown)[] = [];

/** Registers the hooks of a test file that starts runs. */
export function stopRunsAfterAll(): void {
  beforeAll(() => {
    temporaryFolder = createFolder();
  });
  afterAll(async () => {
    for (const run of runs) run.kill();
    for (const cleanUp of cleanups.splice(0)) await cleanUp();
    await Promise.all(runs.splice(0).map((run) => run.waitForExit()));
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
}

export function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-start-"));
  folders.push(folder);
  return folder;
}

let temporaryFolder: string;

type Process = {
  pid: number;
  parent: number;
  session: number;
  /** The pid and the start time. Unlike the pid, it is never reused. */
  key: string;
};

/** Lists all processes of this machine except zombies. */
function listProcesses(): Process[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [state = "", parent, , session] = fields;
      if (state === "Z" || state === "X") return [];
      const key = `${pid}@${fields[19]}`;
      return [{ pid: Number(pid), parent: Number(parent), session: Number(session), key }];
    } catch {
      return []; // The process ended during the loop.
    }
  });
}

/** Returns the command line of a process, or "" if it has ended. */
export function commandOf({ pid }: Process): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export type Environment = Record<string, string | number>;

/** Adds free ports, a new folder and no sweeps, unless `env` overrides them. */
export async function prepare(env: Environment): Promise<Environment> {
  return {
    STATE_DIR: createFolder(),
    SWEEP_SECONDS: 0,
    PORT: await freePort(),
    WAREHOUSE_PORT: await freePort(),
    ...env,
  };
}

/** The npm script that starts the runtime. */
export type Script = "start" | "start:deno";

/** The command of `npm run start`, without npm itself, which takes almost a second. */
const WITHOUT_NPM = ["node", ["src/dev/start.ts"]] as const;

export async function start(env: Environment, script: Script | null = "start"): Promise<Run> {
  return launch(await prepare(env), script);
}

/** @param script null: without npm */
export function launch(env: Environment, script: Script | null = "start") {
  const origin = `http://127.0.0.1:${env["PORT"]}`;
  const [command, args] = script === null ? WITHOUT_NPM : (["npm", ["run", script]] as const);
  const child = spawn(command, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name))),
      // A killed process leaves temporary files behind.
      TMPDIR: temporaryFolder,
      ...texts(env),
    },
  });
  const npm = child.pid ?? Number.NaN;
  const closed = once(child, "close");
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].on("data", (data: Buffer) => {
      output[stream] += data;
    });
  }
  /** The keys of npm and its descendants, which may leave the session. */
  const descendants = new Set(listProcesses().flatMap(({ pid, key }) => (pid === npm ? [key] : [])));

  /** Lists the running processes of the session and the descendants of npm. */
  function runningProcesses(): Process[] {
    const all = new Map(listProcesses().map((process) => [process.pid, process]));
    for (let sizeBefore = -1; sizeBefore < descendants.size; ) {
      sizeBefore = descendants.size;
      for (const { key, parent } of all.values()) {
        if (descendants.has(all.get(parent)?.key ?? "")) descendants.add(key);
      }
    }
    return [...all.values()].filter(({ key, session }) => session === npm || descendants.has(key));
  }

  /** Resolves when the run is ready, or with its exit code. */
  function outcome(): Promise<"ready" | number | null> {
    const state = () => (output.stdout.includes("is ready on") ? "ready" : child.exitCode);
    return until(state, (value) => value !== null);
  }

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const { status, text } = await send(
      new URL(path, origin),
      method,
      {
        Authorization: `Bearer ${env["ADMIN_TOKEN"] ?? "dev-admin"}`,
        "Content-Type": "application/json",
        ...headers,
      },
      body === undefined ? null : JSON.stringify(body),
    );
    return { status, json: text.startsWith("{") ? JSON.parse(text) : undefined };
  }

  const run = {
    env,
    origin,
    output,
    runningProcesses,
    outcome,
    call,
    exitCode: () => child.exitCode,
    exposures: async (id: string) => (await call("GET", `/v1/experiments/${id}/exposures`)).json,
    experiments: async () => (await call("GET", "/v1/experiments")).json.experiments,
    async ready() {
      if ((await outcome()) !== "ready") throw new Error(`The run did not start:\n${output.stdout}\n${output.stderr}`);
      return run;
    },
    signal(signal: NodeJS.Signals, to: "npm" | "the whole group"): void {
      // Records the descendants before some of them lose their parents.
      runningProcesses();
      process.kill(to === "npm" ? npm : -npm, signal);
    },
    /** Resolves when all processes have ended, and all of their output has arrived. */
    async waitForExit(): Promise<void> {
      await until(runningProcesses, (running) => running.length === 0, { seconds: 60 });
      await closed;
    },
    kill(): void {
      for (const { pid } of runningProcesses()) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // The process has already ended.
        }
      }
    },
    /** Returns the lines of stderr, except those of npm itself. */
    errorLines: () => output.stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("npm ")),
    /** Returns the log lines of stdout and stderr. */
    logLines: () => `${output.stdout}\n${output.stderr}`.split("\n").filter((line) => /^\s*[{[]/.test(line)),
    /** Sends a webhook that is signed with the printed secret. */
    sendWebhook(experimentId: string) {
      const secret = /WEBHOOK_SECRET +(whsec_\S+)/.exec(output.stdout)?.[1] ?? "";
      const body = { experiment_id: experimentId };
      const [id, now] = [`msg_${randomUUID()}`, new Date()];
      return call("POST", "/webhooks/refresh", body, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, now, JSON.stringify(body)),
      });
    },
    /** Counts the events before a time in the embedded warehouse. */
    async countEvents(before: number): Promise<number> {
      const query = `SELECT count() FROM events WHERE timestamp < fromUnixTimestamp64Milli(${before})`;
      const response = await fetch(`http://127.0.0.1:${env["WAREHOUSE_PORT"]}/`, { method: "POST", body: query });
      return Number(await response.text());
    },
  };
  runs.push(run);
  return run;
}

export type Run = ReturnType<typeof launch>;

export function texts(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}

/** Returns the settings of a run that uses an external warehouse. */
export function onWarehouse({ settings }: { settings: WarehouseSettings }) {
  return {
    CLICKHOUSE_URL: settings.url.href,
    CLICKHOUSE_DATABASE: settings.database,
    CLICKHOUSE_USER: users.owner.name,
    CLICKHOUSE_PASSWORD: users.owner.password,
  };
}
