import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  arbitraryRequests,
  type GeneratedRequest,
  knownIds,
  type Operation,
  operationsOf,
  requestsFor,
} from "../support/openapi-requests.ts";
import { runs } from "../support/runs.ts";
import { sign } from "../support/sign.ts";
import { createWarehouse } from "../support/warehouse.ts";
import {
  ADMIN,
  FLAGSMITH_SECRET,
  READER,
  startWorker,
  type TestWorker,
  until,
  WEBHOOK_SECRET,
} from "../support/worker.ts";

/** `SEED=… npm test -- test/app/bad-input` generates other requests. A failure reports its seed. */
const seed = Number(process.env["SEED"] ?? 20261123);

let worker: TestWorker;
let operations: Operation[];
let dumpSql: string;
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings);
  operations = operationsOf((await worker.call("GET", "/openapi.json")).json);
  dumpSql = await buildDumpSql();
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** Creates the known experiments, or restores their definitions. */
async function restoreKnown(): Promise<void> {
  const times = [{}, { started_at: fromNow(-HOUR) }, { started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) }];
  for (const [index, id] of knownIds.entries()) {
    const names = { environment_key: "known", feature_name: id };
    const body = { ...names, started_at: null, ended_at: null, ...times[index] };
    expect((await worker.call("PUT", `/v1/experiments/${id}?replace_numbers=true`, body)).status).toBeLessThan(300);
  }
  await until(
    () => worker.exposures("known-final"),
    ({ is_final }) => is_final === true,
  );
}

/** The columns that a concurrent refresh may write. It may also clear refresh_requested_at, but never sets it. */
const WRITTEN_BY_REFRESHES = [
  ...["version", "as_of", "computed_at", "identities", "is_final", "is_idle", "last_error_at"],
  ...["refresh_due_at", "failures", "interval_started_at"],
];

/** A SELECT of all rows as objects of SQL literals. It omits tables that only refreshes write. */
async function buildDumpSql(): Promise<string> {
  const tables = await worker.select(`SELECT m.name AS name, group_concat(c.name) AS columns
    FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT IN ('summaries', 'results', 'health_histories', 'result_histories')
      AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_cf%' ESCAPE '\\' GROUP BY m.name`);
  expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(["experiments", "webhook_deliveries"]));
  const parts = tables.map(({ name, columns }) => {
    const kept = String(columns)
      .split(",")
      .filter((column) => name !== "experiments" || !WRITTEN_BY_REFRESHES.includes(column));
    const fields = kept.map((column) => `'${column}', quote(${column})`);
    return `(SELECT json_group_object(rowid, json_object(${fields.join(", ")})) FROM ${name}) AS ${name}`;
  });
  return `SELECT ${parts.join(", ")}`;
}

type Rows = Record<string, Record<string, Record<string, string>>>;

let lastRead: { version: unknown; rows: Rows } = { version: null, rows: {} };

/** Returns all rows: the same object as before if nothing was written in between, because most requests write nothing. */
async function readRows(): Promise<Rows> {
  const [pragma] = await worker.select("PRAGMA data_version");
  const version = pragma?.["data_version"];
  if (version === undefined || version !== lastRead.version) {
    const [row = {}] = await worker.select(dumpSql);
    const rows = Object.entries(row).map(([table, rows]) => [table, JSON.parse(String(rows))]);
    lastRead = { version, rows: Object.fromEntries(rows) };
  }
  return lastRead.rows;
}

/** Expects no writes between the two, except by refreshes that were already requested. */
function expectUnchanged(before: Rows, after: Rows) {
  if (before === after) return;
  const expected = structuredClone(before);
  for (const [row, fields] of Object.entries(expected["experiments"] ?? {})) {
    const { refresh_requested_at, refresh_due_at = "" } = after["experiments"]?.[row] ?? {};
    if (refresh_requested_at === "NULL") fields["refresh_requested_at"] = "NULL";
    // 0: it has begun.
    if (["0", "NULL"].includes(refresh_due_at)) fields["refresh_due_at"] = refresh_due_at;
  }
  expect(after).toEqual(expected);
}

const statusesByOperation = new Map<string, Set<number>>();

async function send({ method, path, headers, body, signature }: GeneratedRequest, operation: string) {
  const payload = method === "GET" || method === "HEAD" ? null : body;
  const response = await worker.fetch(`${worker.url.origin}${path}`, {
    method,
    headers: { ...headers, ...(signature === null ? {} : sign(signature, payload ?? "")) },
    redirect: "manual",
    ...(payload === null ? {} : { body: payload as BodyInit }),
  });
  statusesByOperation.set(operation, (statusesByOperation.get(operation) ?? new Set()).add(response.status));
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const LEAKS = /\n +at |\.[jt]s:\d|SQLITE|D1_ERROR|\bFROM experiments\b|\bINSERT INTO\b|\$flag_exposure|DB::Exception/;

/** Expects no server error and no leak, and a complete problem for a 4xx status. */
function expectValidResponse(method: string, response: Awaited<ReturnType<typeof send>>) {
  const { status, headers, text } = response;
  expect(status).toBeLessThan(500);
  expect(text).not.toMatch(LEAKS);
  for (const secret of [ADMIN, READER, WEBHOOK_SECRET, FLAGSMITH_SECRET]) expect(text).not.toContain(secret);
  if (status < 400) return;
  expect(headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
  expect(headers.has("WWW-Authenticate")).toBe(status === 401);
  expect(headers.has("Allow")).toBe(status === 405);
  if (method === "HEAD") return expect(text).toBe("");
  const problem = JSON.parse(text);
  const someText = expect.stringMatching(/\w/);
  expect(problem).toMatchObject({ type: someText, title: someText, status, detail: someText });
  if (status === 400) expect(problem.errors).not.toHaveLength(0);
}

/** Kinds of failed refreshes that load causes, or a documented limit. */
const EXPECTED_FAILURES = ["too_large", "timeout", "overloaded"];

/** Expects the service to be up, and its log to consist of events, none of them a bug. */
async function expectNoBugs() {
  expect((await worker.call("GET", "/healthz")).status).toBe(200);
  const events = new Set(worker.logs().map((event) => JSON.stringify(event)));
  expect(worker.lines().filter((line) => !events.has(line))).toEqual([]);
  const bugs = worker
    .logs()
    .filter(({ event }) => /^(request\.failed|database\.unavailable|coordinator\.unreachable|.*\.bug)$/.test(event));
  expect(bugs).toEqual([]);
  const failures = worker.logs().filter(({ event }) => event === "refresh.failed");
  expect(failures.filter(({ kind }) => !EXPECTED_FAILURES.includes(String(kind)))).toEqual([]);
}

/** Statuses that any operation may return without listing them. */
const GENERAL_STATUSES = [404, 405, 413, 414, 429, 431];

it("answers nearly valid requests as documented, and writes nothing when it rejects them", async () => {
  expect(operations.length).toBeGreaterThan(10);
  const atStart = await readRows();
  for (const operation of operations) {
    await restoreKnown();
    let before = await readRows();
    await fc.assert(
      fc.asyncProperty(requestsFor(operation), async (request) => {
        const response = await send(request, operation.name);
        expectValidResponse(request.method, response);
        expect([...operation.statuses, ...GENERAL_STATUSES], operation.name).toContain(response.status);
        const after = await readRows();
        if (response.status >= 400 || operation.method === "GET") expectUnchanged(before, after);
        before = after;
      }),
      // A body can be invalid in more ways than parameters.
      { seed, numRuns: runs(operation.body === null ? 15 : 50) },
    );
    await expectNoBugs();
  }

  // The test proves something only if it sees writes, and if enough requests pass authentication.
  expect(await readRows()).not.toEqual(atStart);
  for (const { name } of operations)
    expect(
      [...(statusesByOperation.get(name) ?? [])].filter((status) => status !== 401 && status !== 403),
      name,
    ).not.toEqual([]);
  const all = new Set([...statusesByOperation.values()].flatMap((statuses) => [...statuses]));
  expect([...all]).toEqual(expect.arrayContaining([200, 202, 204, 400, 401, 403, 404, 415]));
  expect(Math.min(...(statusesByOperation.get("PUT /v1/experiments/{id}") ?? []))).toBeLessThan(300);
});

it("answers arbitrary requests without errors, and writes nothing when it rejects them", async () => {
  await restoreKnown();
  let before = await readRows();
  await fc.assert(
    fc.asyncProperty(arbitraryRequests(operations), async (request) => {
      const response = await send(request, "wild");
      expectValidResponse(request.method, response);
      const after = await readRows();
      if (response.status >= 400) expectUnchanged(before, after);
      before = after;
    }),
    { seed, numRuns: runs(150) },
  );
  await expectNoBugs();
  expect([...(statusesByOperation.get("wild") ?? [])]).toEqual(expect.arrayContaining([200, 400, 401, 404, 405, 415]));
});
