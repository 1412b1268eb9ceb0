import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Stoppable, startWorker } from "../../src/dev/local-worker.ts";
import { DAY } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";

// Experiments for the benchmarks, imported through the API.

export const ADMIN = "admin-token-of-the-benchmarks";

const NOW = Date.now();
/** The maximum number of lines in one import. */
const MAX_LINES = 500;

export const idOf = (index: number) => `experiment-${String(index).padStart(6, "0")}`;
export const exposuresOf = (index: number) => `/v1/experiments/${idOf(index)}/exposures`;

/** Sends a request with a token. Throws if the response is not 2xx. */
export async function callAs(token: string, url: URL, method: string, path: string, body?: string): Promise<Response> {
  const type = path === "/v1/import" ? "application/jsonl" : "application/json";
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": type };
  const response = await fetch(new URL(path, url), { method, headers, ...(body === undefined ? {} : { body }) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** Imports experiments. `running` of them are due at each sweep, evenly spread among the others, which are final. */
export async function fill(url: URL, experiments: number, running: number): Promise<void> {
  const step = Math.floor(experiments / running);
  const lines = Array.from({ length: experiments }, (_, index) => experimentLine(index, index % step === 0));
  for (let from = 0; from < lines.length; from += MAX_LINES)
    await callAs(ADMIN, url, "POST", "/v1/import", lines.slice(from, from + MAX_LINES).join("\n"));
}

/** A line of an export with twenty days and two variants, about 5 kB like a typical experiment. */
function experimentLine(index: number, running: boolean): string {
  const id = idOf(index);
  const [from, to] = [NOW - 20 * DAY, running ? NOW - 1 : NOW - DAY];
  const window = { from, to };
  const first = Math.floor(from / DAY) * DAY;
  const counts: ExposureCount[] = ["control", "treatment"].flatMap((variant) =>
    Array.from({ length: 19 }, (_, day) => ({
      multiple: false,
      variant,
      bucket: first + day * DAY,
      identities: 1000 + day,
    })),
  );
  const variants = ["control", "treatment"].map((key) => ({ key, weight: 50 }));
  const iso = (time: number) => new Date(time).toISOString();
  const line = {
    id,
    environment_key: `env-${index % 20}`,
    feature_name: id,
    variants,
    started_at: iso(from),
    ended_at: running ? null : iso(to),
    created_at: iso(from),
    updated_at: iso(from),
    as_of: iso(to),
    computed_at: iso(to),
    is_final: !running,
  };
  const summary = summarise(counts, window, ["control", "treatment"]);
  const collection = { latestExposureAt: to - 1, lateIdentities: 0, invalidEvents: 0, events: 0 };
  const health = checkHealth({
    window,
    countedAt: to,
    isRunning: running,
    variants,
    weightsChangedAt: null,
    summary,
    collection,
    eventsTtlDays: 0,
  });
  const exposures = serialise(summary, health);
  return `${JSON.stringify(line).slice(0, -1)},"exposures":${exposures}}`;
}

/** Returns the pid of the new workerd among the children of this process. */
export async function newWorkerd(before: ReadonlySet<number>): Promise<number> {
  const workerd = (await processes()).find(
    ({ pid, parent, command }) => parent === process.pid && !before.has(pid) && command.endsWith("workerd"),
  );
  if (workerd === undefined) throw new Error("workerd is not among the children of this process");
  return workerd.pid;
}

export type Filled = Awaited<ReturnType<typeof startFilled>>;

/** Starts a Worker with its state in `folder`, and imports experiments of which some are running and the others final. */
export async function startFilled(
  folder: string,
  bindings: Readonly<Record<string, string>>,
  { experiments, running }: { experiments: number; running: number },
) {
  let stop: Stoppable["stop"] = async () => undefined;
  const before = new Set((await processes()).map(({ pid }) => pid));
  const onStarted = (part: Stoppable) => {
    stop = part.stop;
  };
  const worker = await startWorker(folder, 0, { ...bindings, ADMIN_TOKEN: ADMIN }, onStarted, () => undefined);
  const pid = await newWorkerd(before);

  await fill(worker.url, experiments, running);
  const call = (method: string, path: string) => callAs(ADMIN, worker.url, method, path);
  const sweep = async () => {
    const swept = await worker.sweep();
    if (!swept.ok) throw new Error(swept.failure);
  };
  return { url: worker.url, pid, call, sweep, stop: () => stop() };
}

export async function processes(): Promise<{ pid: number; parent: number; mib: number; command: string }[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axo", "pid=,ppid=,rss=,comm="]);
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, rss, command] = /^ *(\d+) +(\d+) +(\d+) +(.*)$/.exec(line) ?? [];
    return command === undefined
      ? []
      : [{ pid: Number(pid), parent: Number(parent), mib: Math.round(Number(rss) / 1024), command }];
  });
}

export async function memoryOf(pid: number): Promise<number> {
  return (await processes()).find((process) => process.pid === pid)?.mib ?? Number.NaN;
}
