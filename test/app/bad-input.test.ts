import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type GeneratedRequest,
  knownIds,
  type Operation,
  operationsOf,
  requestsFor,
  wildRequests,
} from "../support/openapi-requests.ts";
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

/** `SEED=… npm test -- test/app/bad-input` takes other requests; a failure names the seed it came from. */
const seed = Number(process.env["SEED"] ?? 20260601);

let worker: TestWorker;
let operations: Operation[];
let dump: string;
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings);
  operations = operationsOf((await worker.call("GET", "/openapi.json")).json);
  dump = await dumpStatement();
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** Puts the known experiments there, or back as they were. */
async function restore(): Promise<void> {
  const times = [{}, { started_at: fromNow(-HOUR) }, { started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) }];
  for (const [index, id] of knownIds.entries()) {
    const body = { environment_key: "known", feature_name: id, ...times[index] };
    expect((await worker.call("PUT", `/v1/experiments/${id}`, body)).status).toBeLessThan(300);
  }
  await until(
    () => worker.exposures("known-final"),
    ({ is_final }) => is_final === true,
  );
}

/** What a refresh writes behind the requests. It also takes back refresh_requested_at, but never sets it. */
const WRITTEN_BY_REFRESHES = ["version", "as_of", "computed_at", "is_final", "last_error_at", "exposures"];

/** One SELECT for all rows of all tables but the one that only refreshes write, each row an object of SQL literals. */
async function dumpStatement(): Promise<string> {
  const tables = await worker.select(`SELECT m.name AS name, group_concat(c.name) AS columns
    FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name != 'health_watches' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_cf%' ESCAPE '\\' GROUP BY m.name`);
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

async function stored(): Promise<Rows> {
  const [row = {}] = await worker.select(dump);
  return Object.fromEntries(Object.entries(row).map(([table, rows]) => [table, JSON.parse(String(rows))]));
}

/** Nothing was written between the two but by refreshes that had been asked for before. */
function expectUnchanged(before: Rows, after: Rows) {
  const expected = structuredClone(before);
  for (const [row, fields] of Object.entries(expected["experiments"] ?? {})) {
    const served = after["experiments"]?.[row]?.["refresh_requested_at"] === "NULL";
    if (served) fields["refresh_requested_at"] = "NULL";
  }
  expect(after).toEqual(expected);
}

const answered = new Map<string, Set<number>>();

async function send({ method, path, headers, body, signature }: GeneratedRequest, name: string) {
  const sent = method === "GET" || method === "HEAD" ? null : body;
  const response = await worker.fetch(`${worker.url.origin}${path}`, {
    method,
    headers: { ...headers, ...(signature === null ? {} : sign(signature, sent ?? "")) },
    redirect: "manual",
    ...(sent === null ? {} : { body: sent as BodyInit }),
  });
  answered.set(name, (answered.get(name) ?? new Set()).add(response.status));
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const LEAKS = /\n +at |\.[jt]s:\d|SQLITE|D1_ERROR|\bFROM experiments\b|\bINSERT INTO\b|\$flag_exposure|DB::Exception/;

/** What holds for every answer, whatever was sent. */
function expectDecent(method: string, answer: Awaited<ReturnType<typeof send>>) {
  const { status, headers, text } = answer;
  expect(status).toBeLessThan(500);
  expect(text).not.toMatch(LEAKS);
  for (const secret of [ADMIN, READER, WEBHOOK_SECRET, FLAGSMITH_SECRET]) expect(text).not.toContain(secret);
  if (status < 400) return;
  expect(headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
  expect(headers.has("WWW-Authenticate")).toBe(status === 401);
  expect(headers.has("Allow")).toBe(status === 405);
  if (method === "HEAD") return expect(text).toBe("");
  const problem = JSON.parse(text);
  const words = expect.stringMatching(/\w/);
  expect(problem).toMatchObject({ type: words, title: words, status, detail: words });
  if (status === 400) expect(problem.errors).not.toHaveLength(0);
}

/** Failures that a value can't be blamed for, or that the README promises. */
const EXCUSED = ["too_large", "timeout", "overloaded"];

/** The service goes on, and its log has nothing but events, none of a bug. */
async function expectWell() {
  expect((await worker.call("GET", "/healthz")).status).toBe(200);
  expect(worker.logs()).toHaveLength(worker.lines().length);
  const bugs = worker
    .logs()
    .filter(({ event }) => /^(request\.failed|database\.unavailable|coordinator\.unreachable|.*\.bug)$/.test(event));
  expect(bugs).toEqual([]);
  const failures = worker.logs().filter(({ event }) => event === "refresh.failed");
  expect(failures.filter(({ kind }) => !EXCUSED.includes(String(kind)))).toEqual([]);
}

const GENERAL = [404, 405, 413, 414, 429, 431];

it("answers every operation as documented, or refuses it in words and writes nothing, whatever is nearly right", async () => {
  expect(operations.length).toBeGreaterThan(10);
  for (const operation of operations) {
    await restore();
    let before = await stored();
    await fc.assert(
      fc.asyncProperty(requestsFor(operation), async (request) => {
        const answer = await send(request, operation.name);
        expectDecent(request.method, answer);
        expect([...operation.statuses, ...GENERAL], operation.name).toContain(answer.status);
        const after = await stored();
        if (answer.status >= 400 || operation.method === "GET") expectUnchanged(before, after);
        before = after;
      }),
      // A body has more ways to be wrong.
      { seed, numRuns: operation.body === null ? 15 : 50 },
    );
    await expectWell();
  }

  // It would prove little if all were refused at the door.
  for (const { name } of operations)
    expect(
      [...(answered.get(name) ?? [])].filter((status) => status !== 401 && status !== 403),
      name,
    ).not.toEqual([]);
  const all = new Set([...answered.values()].flatMap((statuses) => [...statuses]));
  expect([...all]).toEqual(expect.arrayContaining([200, 202, 204, 400, 401, 403, 404, 415]));
  expect(Math.min(...(answered.get("PUT /v1/experiments/{id}") ?? []))).toBeLessThan(300);
}, 240_000);

it("refuses whatever else is sent, in words, and writes nothing", async () => {
  await restore();
  let before = await stored();
  await fc.assert(
    fc.asyncProperty(wildRequests(operations), async (request) => {
      const answer = await send(request, "wild");
      expectDecent(request.method, answer);
      const after = await stored();
      if (answer.status >= 400) expectUnchanged(before, after);
      before = after;
    }),
    { seed, numRuns: 150 },
  );
  await expectWell();
  expect([...(answered.get("wild") ?? [])]).toEqual(expect.arrayContaining([200, 400, 401, 404, 405, 415]));
}, 240_000);
