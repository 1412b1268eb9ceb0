import { ClickHouseLogLevel, type ClickHouseSettings, createClient, parseError } from "@clickhouse/client-web";
import { failed, ok, type Result } from "../result.ts";
import type { WarehouseSettings } from "../settings.ts";
import { classify, type WarehouseFailure } from "./failure.ts";

export type QueryParameters = Readonly<Record<string, string | number>>;

/** ClickHouse's own settings, for one query. */
export type QuerySettings = Readonly<Record<string, string>>;

/** One statement at a time, each with a deadline. Every value travels in `parameters`, never in `sql`. */
export type Warehouse = {
  table: { database: string; table: string };
  /** The rows of a SELECT, not yet checked. */
  select(
    sql: string,
    parameters: QueryParameters,
    settings?: QuerySettings,
  ): Promise<Result<unknown[], WarehouseFailure>>;
  /** A statement that writes. One that fails may have been done in part. */
  command(sql: string, parameters: QueryParameters): Promise<Result<null, WarehouseFailure>>;
};

/** A result that would not fit into a stored summary is refused by the server instead of filling our memory. */
const MOST_ROWS = 100_000;

export function connectWarehouse(settings: WarehouseSettings): Warehouse {
  const clickhouseSettings: ClickHouseSettings = {
    // An error after the 200 would come inside the body: let the server answer only when it is done.
    wait_end_of_query: 1,
    output_format_json_quote_64bit_integers: 0,
    // A profile may make absent grouping keys NULL.
    group_by_use_nulls: 0,
    // The server gives up before our deadline, so that no query goes on there while the next one begins; where it
    // can't tell us, it notices that we are gone.
    max_execution_time: Math.max(1, Math.floor((0.9 * settings.queryTimeoutMs) / 1000)),
    cancel_http_readonly_queries_on_client_close: 1,
    max_result_rows: String(MOST_ROWS),
    result_overflow_mode: "throw",
  };

  /** What `send` comes to, or why it did not within the deadline. */
  async function inTime<Value>(
    send: (client: ReturnType<typeof createClient>, signal: AbortSignal) => Promise<Result<Value, WarehouseFailure>>,
  ): Promise<Result<Value, WarehouseFailure>> {
    let status: number | undefined;
    let exceptionCode: number | undefined;
    const client = createClient({
      ...connectionOptions(settings),
      // Ours, below, comes first and is told apart from other failures.
      request_timeout: 2 * settings.queryTimeoutMs,
      // It would log statements with their parameters.
      log: { level: ClickHouseLogLevel.OFF },
      clickhouse_settings: clickhouseSettings,
      // The client's errors do not tell the status: see it pass. And read the body here, where the signal ends it:
      // once the client reads it, Deno would leave the connection of a hanging answer open for good.
      fetch: async (input, init) => {
        const response = await fetch(input, { ...init, redirect: "manual" });
        status = response.status;
        exceptionCode = Number(response.headers.get("x-clickhouse-exception-code") ?? Number.NaN) || undefined;
        return response.body === null ? response : new Response(await response.arrayBuffer(), response);
      },
    });

    const abort = new AbortController();
    const { promise: deadline, resolve: pass } = Promise.withResolvers<"deadline">();
    const timer = setTimeout(() => pass("deadline"), settings.queryTimeoutMs);
    const answer = send(client, abort.signal).catch((error: unknown) => failed(classify(error, status, exceptionCode)));
    const first = await Promise.race([answer, deadline]);
    clearTimeout(timer);
    if (first !== "deadline") return first;
    abort.abort();
    return failed({ kind: "timeout" });
  }

  return {
    table: { database: settings.database, table: settings.table },
    select: (sql, parameters, querySettings = {}) =>
      inTime(async (client, signal) => {
        const answer = await client.query({
          query: sql,
          query_params: { ...parameters },
          format: "JSON",
          clickhouse_settings: querySettings,
          abort_signal: signal,
        });
        return readRows(await answer.text());
      }),
    command: (sql, parameters) =>
      inTime(async (client, signal) => {
        await client.command({ query: sql, query_params: { ...parameters }, abort_signal: signal });
        return ok(null);
      }),
  };
}

/** The rows of a `FORMAT JSON` answer. An exception that came with a 200, inside the body or instead of it, is one too. */
function readRows(body: string): Result<unknown[], WarehouseFailure> {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return failed(classify(parseError(body.slice(-EXCEPTION_LENGTH)), 200, undefined));
  }
  if (typeof answer !== "object" || answer === null) return failed({ kind: "bad_answer" });
  if ("exception" in answer) return failed(classify(parseError(String(answer.exception)), 200, undefined));
  if (!("data" in answer && Array.isArray(answer.data))) return failed({ kind: "bad_answer" });
  return "rows" in answer && answer.rows === answer.data.length ? ok(answer.data) : failed({ kind: "bad_answer" });
}

/** How much of the end of a body that is not JSON is searched for an exception. */
const EXCEPTION_LENGTH = 4096;

/** Where and as whom, in the client's own words. */
export function connectionOptions({ url, database, user, password }: WarehouseSettings) {
  return { url: url.origin, pathname: url.pathname, database, username: latin1(user), password: latin1(password) };
}

/** The client sends credentials through btoa, which takes bytes: UTF-8 ones are what ClickHouse expects. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
