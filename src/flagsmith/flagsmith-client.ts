import { type Backoff, retryDelay } from "../backoff.ts";
import { failed, ok, type Result } from "../result.ts";
import type { FlagsmithSettings } from "../settings.ts";
import type { FlagsmithFailure } from "./flagsmith-failure.ts";
import {
  type Allocation,
  type ListedExperiment,
  readExperiment,
  readMetricEvent,
  readRollout,
  shapes,
  type UnreadableExperiment,
} from "./shapes.ts";

type Answer<Value> = Result<Value, FlagsmithFailure>;

/** Flagsmith's API. No call starts a request at or after `until`, and each ends soon after it. */
export type FlagsmithClient = {
  /** Lists all experiments of an environment. Fails if the list is not known to be complete. */
  listExperiments(environmentKey: string, until: number): Promise<Answer<(ListedExperiment | UnreadableExperiment)[]>>;
  /** Lists the events of an environment's metrics, by the id of the metric. */
  listMetricEvents(environmentKey: string, until: number): Promise<Answer<Map<number, string | null>>>;
  /** Reads the allocations of an experiment's rollout; null: it has none. */
  readRollout(environmentKey: string, id: number, until: number): Promise<Answer<Allocation[] | null>>;
};

export type ClientDeps = {
  clock: () => number;
  random: () => number;
  send?: typeof fetch;
  sleep?: (ms: number) => Promise<void>;
};

const timer = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_BYTES = 8 * 1024 * 1024;
/** Flagsmith allows up to 999, but needs several queries for each entry. */
const PAGE_SIZE = 100;
const MAX_PAGES = 100;
const RETRIES: Backoff = { firstMs: 500, factor: 4, maxMs: 5_000, maxRetries: 2 };
/** A longer Retry-After is left to the next sweep. */
const MAX_RETRY_AFTER_MS = 15_000;

type Attempt = Result<unknown, FlagsmithFailure & { retryAfterMs?: number }>;

export function connectFlagsmith(
  { apiUrl, apiKey }: Pick<FlagsmithSettings, "apiUrl" | "apiKey">,
  { clock, random, send = fetch, sleep = timer }: ClientDeps,
): FlagsmithClient {
  const urlOf = (environmentKey: string, path: string) =>
    new URL(`environments/${encodeURIComponent(environmentKey)}/${path}`, apiUrl);

  /** Sends a request once. The key goes to this URL alone: redirects are not followed. */
  async function attempt(url: URL, until: number): Promise<Attempt> {
    try {
      const response = await send(url, {
        headers: { Authorization: `Api-Key ${apiKey}`, Accept: "application/json" },
        redirect: "manual",
        signal: AbortSignal.timeout(Math.max(0, Math.min(REQUEST_TIMEOUT_MS, until - clock()))),
      });
      const kind = failureOf(response);
      if (kind !== null) {
        await response.body?.cancel();
        const retryAfterMs = retryAfter(response.headers.get("Retry-After"), clock());
        return failed(retryAfterMs === null ? { kind } : { kind, retryAfterMs });
      }
      const text = await readText(response);
      return text === null ? failed({ kind: "too_large" }) : parseJson(text);
    } catch (error) {
      // The error may contain the URL, so it is not logged.
      const isTimeout = error instanceof Error && /^(Timeout|Abort)Error$/.test(error.name);
      return failed({ kind: isTimeout ? "timeout" : "unreachable" });
    }
  }

  async function request(url: URL, until: number): Promise<Answer<unknown>> {
    for (let failures = 1; ; failures += 1) {
      if (clock() >= until) return failed({ kind: "timeout" });
      const answer = await attempt(url, until);
      if (answer.ok || !isTransient(answer.failure)) return answer;
      const delay = retryDelay(failures, random(), RETRIES);
      const wait = Math.max(delay ?? 0, answer.failure.retryAfterMs ?? 0);
      if (delay === null || wait > MAX_RETRY_AFTER_MS || clock() + wait >= until)
        return failed({ kind: answer.failure.kind });
      await sleep(wait);
    }
  }

  /** Reads all pages of a list. */
  async function list<Entry extends { id: number }>(
    first: URL,
    read: (entry: unknown) => Entry | null,
    until: number,
  ): Promise<Answer<Entry[]>> {
    const entries = new Map<number, Entry>();
    let count: number | null = null;
    let url = first;
    for (let pages = 1; pages <= MAX_PAGES; pages += 1) {
      const answer = await request(url, until);
      if (!answer.ok) return answer;
      const page = shapes().page.safeParse(answer.value).data;
      if (page === undefined) return failed({ kind: "unexpected" });
      for (const result of page.results) {
        const entry = read(result);
        if (entry === null) return failed({ kind: "unexpected" });
        entries.set(entry.id, entry);
      }
      // An entry that is deleted meanwhile moves others to a page that has been read, and is still among the entries.
      count ??= page.count;
      if (page.count !== count) return failed({ kind: "changing" });
      if (page.next === null)
        return entries.size === page.count ? ok([...entries.values()]) : failed({ kind: "changing" });
      if (page.results.length === 0 || entries.size > page.count) return failed({ kind: "unexpected" });
      const next = URL.parse(page.next, url);
      if (next?.host !== first.host || next.pathname !== first.pathname) return failed({ kind: "elsewhere" });
      // Behind a TLS proxy, Flagsmith may write http:// here. Only the query is used.
      url = new URL(next.search, first);
    }
    return failed({ kind: "too_large" });
  }

  const pagesOf = (environmentKey: string, path: string) => urlOf(environmentKey, `${path}/?page_size=${PAGE_SIZE}`);

  return {
    listExperiments: (environmentKey, until) => list(pagesOf(environmentKey, "experiments"), readExperiment, until),
    async listMetricEvents(environmentKey, until) {
      const listed = await list(pagesOf(environmentKey, "experiment-metrics"), readMetricEvent, until);
      return listed.ok ? ok(new Map(listed.value.map(({ id, event }) => [id, event]))) : listed;
    },
    async readRollout(environmentKey, id, until) {
      const detail = await request(urlOf(environmentKey, `experiments/${id}/`), until);
      if (!detail.ok) return detail;
      const rollout = readRollout(detail.value);
      return rollout === undefined ? failed({ kind: "unexpected" }) : ok(rollout);
    },
  };
}

function failureOf({ status, ok: isSuccess }: Response): FlagsmithFailure["kind"] | null {
  if (isSuccess) return null;
  // Browsers hide the status of a redirect as 0.
  if (status < 400) return "redirected";
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  if (status === 429) return "rate_limited";
  return status >= 500 ? "unavailable" : "refused";
}

// A timeout is not: a server that is too slow is not faster the next time.
const TRANSIENT = new Set<FlagsmithFailure["kind"]>(["rate_limited", "unavailable", "unreachable"]);
const isTransient = ({ kind }: FlagsmithFailure) => TRANSIENT.has(kind);

/** Reads seconds or a date. Returns milliseconds; null: neither. */
function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** Reads the body up to the max size; null: it is larger. */
async function readText({ body }: Response): Promise<string | null> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string): Answer<unknown> {
  try {
    return ok(JSON.parse(text));
  } catch {
    return failed({ kind: "not_json" });
  }
}
