import { ClickHouseLogLevel, type ClickHouseSettings, createClient, parseError } from "@clickhouse/client-web";
import { failed, ok, type Result } from "../result.ts";
import type { WarehouseSettings } from "../settings.ts";
import { classify, type WarehouseFailure } from "./failure.ts";
import { WHOLE_ANSWERS } from "./whole-answers.ts";

export type QueryParameters = Readonly<Record<string, string | number>>;

/** ClickHouse settings of one query. */
export type QuerySettings = Readonly<Record<string, string>>;

/** A connection to ClickHouse. Each statement has a deadline. Values are bound as parameters, never pasted into SQL. */
export type Warehouse = {
  table: { database: string; table: string };
  /** Runs a SELECT. The rows are not checked yet. */
  select(
    sql: string,
    parameters: QueryParameters,
    settings?: QuerySettings,
  ): Promise<Result<unknown[], WarehouseFailure>>;
  /** Runs a statement that writes. A failed one may have taken effect in part. */
  command(sql: string, parameters: QueryParameters, settings?: QuerySettings): Promise<Result<null, WarehouseFailure>>;
  /** Returns a warehouse whose statements all end within the time that one may take, or a shorter one, from now on. */
  withSharedDeadline(clock: () => number, limitMs?: number): Warehouse;
};

/** The comment on every statement, which ClickHouse keeps as `log_comment` in system.query_log. */
const LOG_COMMENT = "edge-exposures";

/** Returns the same warehouse, whose statements have the experiment's id in their comment. */
export function forExperiment(warehouse: Warehouse, experimentId: string): Warehouse {
  const comment = { log_comment: `${LOG_COMMENT}/${experimentId}` };
  return {
    ...warehouse,
    select: (sql, parameters, settings) => warehouse.select(sql, parameters, { ...settings, ...comment }),
    command: (sql, parameters, settings) => warehouse.command(sql, parameters, { ...settings, ...comment }),
    withSharedDeadline: (...limits) => forExperiment(warehouse.withSharedDeadline(...limits), experimentId),
  };
}

/**
 * The server refuses a larger result, which would not fit into a stored summary, before it fills our memory. The rows take
 * up to 9 MB without the variants' names. As JSON they are two to three times as long, or six times where a name consists
 * of control characters.
 */
const MAX_ROWS = 100_000;
const MAX_BYTES = 10_000_000;

/**
 * Connects to ClickHouse.
 * @param timeLeft returns the milliseconds that a statement may take; at 0 or below it fails with `timeout`
 */
export function connectWarehouse(
  settings: WarehouseSettings,
  timeLeft: () => number = () => settings.queryTimeoutMs,
): Warehouse {
  const clickhouseSettings: ClickHouseSettings = {
    // The server answers only when it is done, because an error after a 200 would arrive inside the body.
    wait_end_of_query: 1,
    output_format_json_quote_64bit_integers: 0,
    ...WHOLE_ANSWERS,
    log_comment: LOG_COMMENT,
    // A query whose answer can't reach us ends with its connection.
    cancel_http_readonly_queries_on_client_close: 1,
    max_result_rows: String(MAX_ROWS),
    max_result_bytes: String(MAX_BYTES),
  };

  /** Runs `send` with a new client, within the deadline. */
  async function withDeadline<Value>(
    send: (client: ReturnType<typeof createClient>, signal: AbortSignal) => Promise<Result<Value, WarehouseFailure>>,
  ): Promise<Result<Value, WarehouseFailure>> {
    const timeoutMs = timeLeft();
    if (timeoutMs <= 0) return failed({ kind: "timeout" });
    let status: number | undefined;
    let exceptionCode: number | undefined;
    const client = createClient({
      ...connectionOptions(settings),
      // Our own deadline below fires first, and can be told from other failures.
      request_timeout: 2 * timeoutMs,
      // The client would log statements with their parameters.
      log: { level: ClickHouseLogLevel.OFF },
      clickhouse_settings: {
        ...clickhouseSettings,
        // The server stops before our deadline, so that no query is left running when the next one starts.
        max_execution_time: Math.max(1, Math.floor((0.9 * timeoutMs) / 1000)),
      },
      // The client's errors lack the status, so it is recorded here. The body is read here as well, where the signal can
      // end it: if the client read it, Deno would keep the connection of a hanging answer open for ever.
      fetch: async (input, init) => {
        const response = await fetch(input, { ...init, redirect: "manual" });
        status = response.status;
        exceptionCode = Number(response.headers.get("x-clickhouse-exception-code") ?? Number.NaN) || undefined;
        return response.body === null ? response : new Response(await response.arrayBuffer(), response);
      },
    });

    const abort = new AbortController();
    const { promise: deadline, resolve: expire } = Promise.withResolvers<"deadline">();
    const timer = setTimeout(() => expire("deadline"), timeoutMs);
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
      withDeadline(async (client, signal) => {
        const answer = await client.query({
          query: sql,
          query_params: { ...parameters },
          format: "JSON",
          clickhouse_settings: querySettings,
          abort_signal: signal,
        });
        return readRows(await answer.text());
      }),
    command: (sql, parameters, querySettings = {}) =>
      withDeadline(async (client, signal) => {
        await client.command({
          query: sql,
          query_params: { ...parameters },
          clickhouse_settings: querySettings,
          abort_signal: signal,
        });
        return ok(null);
      }),
    withSharedDeadline(clock, limitMs = Number.POSITIVE_INFINITY) {
      const deadline = clock() + Math.min(timeLeft(), limitMs);
      return connectWarehouse(settings, () => deadline - clock());
    },
  };
}

/** Reads the rows of a `FORMAT JSON` answer. With a 200, an exception may come inside the body or instead of it. */
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

/** The length of the end of a non-JSON body that is searched for an exception. */
const EXCEPTION_LENGTH = 4096;

/** The settings as options of the ClickHouse client. */
export function connectionOptions({ url, database, user, password }: WarehouseSettings) {
  return { url: url.origin, pathname: url.pathname, database, username: latin1(user), password: latin1(password) };
}

/** UTF-8 as a string of bytes: the client passes credentials to btoa, and ClickHouse expects UTF-8. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
