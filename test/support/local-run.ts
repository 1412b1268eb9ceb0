import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll } from "vitest";
import { until } from "./worker.ts";

// The local run as its users have it: `npm start` in a process group of its own, spoken to over HTTP.

/** What this machine may have set for a local run of its own, and what a test runner tells its children. */
const NOT_INHERITED =
  /^(CLICKHOUSE_|PORT$|STATE_DIR$|DEMO$|EVENTS_TABLE$|PUBLIC_READ$|VITEST|TEST$|NODE_ENV$|NODE_OPTIONS$)|_(PORT|TOKEN|SECRET|SECONDS)$/;

const started: { kill(): void; gone(): Promise<unknown> }[] = [];
const folders: string[] = [];
export const toStop: (() => unknown)[] = [];

afterAll(async () => {
  for (const run of started) run.kill();
  for (const stop of toStop) await stop();
  await Promise.all(started.map((run) => run.gone()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-start-"));
  folders.push(folder);
  return folder;
}

const temporary = newFolder();

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port is free");
  return address.port;
}

type Process = {
  pid: number;
  parent: number;
  session: number;
  command: string;
  /** Unlike the pid, never used again. */
  key: string;
};

/** Every process of this machine that is more than an entry in the table. */
function processes(): Process[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [state = "", parent, , session] = fields;
      if (state === "Z" || state === "X") return [];
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const key = `${pid}@${fields[19]}`;
      return [{ pid: Number(pid), parent: Number(parent), session: Number(session), command, key }];
    } catch {
      return []; // It ended while we looked.
    }
  });
}

export type Environment = Record<string, string | number>;

/** Free ports, a folder of its own and no sweeps, unless the environment says otherwise. */
export async function prepare(env: Environment): Promise<Environment> {
  return {
    STATE_DIR: newFolder(),
    SWEEP_SECONDS: 0,
    PORT: await freePort(),
    WAREHOUSE_PORT: await freePort(),
    ...env,
  };
}

/** The npm script that starts the runtime. */
export type Script = "start" | "start:deno";

export async function start(env: Environment, script: Script = "start"): Promise<Run> {
  return launch(await prepare(env), script);
}

export function launch(env: Environment, script: Script = "start") {
  const origin = `http://127.0.0.1:${env["PORT"]}`;
  const child = spawn("npm", ["run", script], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name))),
      // Who is killed leaves temporary files behind.
      TMPDIR: temporary,
      ...texts(env),
    },
  });
  const npm = child.pid ?? Number.NaN;
  const written = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].on("data", (data: Buffer) => {
      written[stream] += data;
    });
  }
  /** npm and what was seen below it at some time: it counts though it leaves the session. */
  const seen = new Set(processes().flatMap(({ pid, key }) => (pid === npm ? [key] : [])));

  /** All its processes that have not ended: those of its session, and those that descend from npm. */
  function living(): Process[] {
    const all = new Map(processes().map((one) => [one.pid, one]));
    for (let before = -1; before < seen.size; ) {
      before = seen.size;
      for (const { key, parent } of all.values()) {
        if (seen.has(all.get(parent)?.key ?? "")) seen.add(key);
      }
    }
    return [...all.values()].filter(({ key, session }) => session === npm || seen.has(key));
  }

  /** Waits until it is ready to serve, or has ended with an exit code. */
  function settled(): Promise<"ready" | number | null> {
    const state = () => (written.stdout.includes("is ready on") ? "ready" : child.exitCode);
    return until(state, (value) => value !== null);
  }

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${env["ADMIN_TOKEN"] ?? "dev-admin"}`,
        "Content-Type": "application/json",
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: text.startsWith("{") ? JSON.parse(text) : undefined };
  }

  const run = {
    env,
    origin,
    written,
    living,
    settled,
    call,
    exposures: async (id: string) => (await call("GET", `/v1/experiments/${id}/exposures`)).json,
    experiments: async () => (await call("GET", "/v1/experiments")).json.experiments,
    async ready() {
      if ((await settled()) !== "ready") throw new Error(`it did not start:\n${written.stdout}\n${written.stderr}`);
      return run;
    },
    signal(signal: NodeJS.Signals, to: "npm" | "the whole group"): void {
      living();
      process.kill(to === "npm" ? npm : -npm, signal);
    },
    /** Until nothing of it is left. */
    gone: () => until(living, (left) => left.length === 0, { seconds: 15 }),
    kill(): void {
      for (const { pid } of living()) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has just ended by itself.
        }
      }
    },
    /** What it wrote to stderr, without what npm itself has to say. */
    errorLines: () => written.stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("npm ")),
    /** The lines of its log, wherever they were written. */
    logLines: () => `${written.stdout}\n${written.stderr}`.split("\n").filter((line) => /^\s*[{[]/.test(line)),
    /** Sends the signed webhook of whoever knows the printed secret. */
    hint(experimentId: string) {
      const secret = /WEBHOOK_SECRET +(whsec_\S+)/.exec(written.stdout)?.[1] ?? "";
      const body = { experiment_id: experimentId };
      const [id, now] = [`msg_${randomUUID()}`, new Date()];
      return call("POST", "/webhooks/refresh", body, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, now, JSON.stringify(body)),
      });
    },
    /** How many events the embedded warehouse has before a time. */
    async countEvents(before: number): Promise<number> {
      const query = `SELECT count() FROM events WHERE timestamp < fromUnixTimestamp64Milli(${before})`;
      const answer = await fetch(`http://127.0.0.1:${env["WAREHOUSE_PORT"]}/`, { method: "POST", body: query });
      return Number(await answer.text());
    },
  };
  started.push(run);
  return run;
}

export type Run = ReturnType<typeof launch>;

export function texts(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}
