import { ClickHouseError } from "@clickhouse/client-web";
import { describe, expect, it } from "vitest";
import { adviceFor, adviceForStates } from "../../src/warehouse/advice.ts";
import { classify, type FailureKind, isTransient } from "../../src/warehouse/failure.ts";

const TEXT = "DB::Exception: secret table, secret value";

/** An exception as the client throws it, with its code as text. */
const exception = (code: number) => new ClickHouseError({ message: TEXT, code: String(code), type: "SOME_NAME" });

/** Every kind of failure, and whether it is retried. */
const KINDS: Record<FailureKind, "transient" | "permanent"> = {
  unreachable: "transient",
  timeout: "transient",
  overloaded: "transient",
  server_error: "transient",
  bad_answer: "transient",
  credentials: "permanent",
  missing_table: "permanent",
  missing_column: "permanent",
  settings_refused: "permanent",
  bad_query: "permanent",
  bad_rows: "permanent",
  too_large: "permanent",
  limited: "permanent",
  refused: "permanent",
};
const isKind = (kind: string): kind is FailureKind => kind in KINDS;
const kinds = Object.keys(KINDS).filter(isKind);

describe("classify, with an exception code", () => {
  it.each<[kind: FailureKind, codes: number[]]>([
    ["credentials", [192, 193, 194, 195, 291, 497, 516]],
    ["missing_table", [60, 81]],
    ["missing_column", [10, 16, 47]],
    ["bad_query", [36, 43, 53, 62, 456, 457]],
    ["settings_refused", [115, 164, 452]],
    ["timeout", [159, 160, 394]],
    ["overloaded", [201, 202, 203, 241, 243, 439]],
    ["unreachable", [3, 209, 210, 279, 369]],
    ["too_large", [395, 396]],
    ["limited", [158, 191, 307]],
  ])("returns %s for the codes %j", (kind, codes) => {
    for (const code of codes)
      expect(classify(exception(code), undefined, undefined), String(code)).toEqual({ kind, code });
  });

  it("reads the code from the body or the header, and keeps the status of an error response", () => {
    const expected = { kind: "missing_table", code: 60, status: 404 };
    expect(classify(exception(60), 404, undefined)).toEqual(expected);
    expect(classify(new Error("no body"), 404, 60)).toEqual(expected);
    expect(classify(exception(60), 400, undefined)).toEqual({ kind: "missing_table", code: 60, status: 400 });
  });

  it("omits the status of a successful response", () => {
    expect(classify(exception(60), 200, undefined)).toEqual({ kind: "missing_table", code: 60 });
  });

  it("uses the status for an unknown code, and returns server_error without a status", () => {
    expect(classify(exception(999_999), 403, undefined)).toEqual({ kind: "credentials", code: 999_999, status: 403 });
    expect(classify(exception(999_999), 500, undefined)).toMatchObject({ kind: "server_error" });
    expect(classify(exception(999_999), undefined, undefined)).toStrictEqual({ kind: "server_error", code: 999_999 });
  });
});

describe("classify, without an exception code", () => {
  it.each<[status: number, kind: FailureKind]>([
    [300, "refused"],
    [307, "refused"],
    [400, "refused"],
    [401, "credentials"],
    [403, "credentials"],
    [404, "refused"],
    [408, "timeout"],
    [425, "overloaded"],
    [429, "overloaded"],
    [499, "refused"],
    [500, "server_error"],
    [502, "server_error"],
    [503, "overloaded"],
    [504, "timeout"],
    [599, "server_error"],
  ])("maps the status %i to %s", (status, kind) => {
    expect(classify(new Error(TEXT), status, undefined)).toEqual({ kind, status });
  });

  it.each([200, 204, 299])("returns bad_answer for a successful status: %i", (status) => {
    expect(classify(new SyntaxError(TEXT), status, undefined)).toEqual({ kind: "bad_answer" });
  });

  it("returns unreachable if there was no response", () => {
    expect(classify(new TypeError("fetch failed"), undefined, undefined)).toEqual({ kind: "unreachable" });
    expect(classify(undefined, undefined, undefined)).toEqual({ kind: "unreachable" });
  });

  it("treats an informational status as an error", () => {
    expect(classify(new Error(TEXT), 199, undefined)).toEqual({ kind: "refused", status: 199 });
  });
});

describe("a failure", () => {
  it.each(Object.entries(KINDS))("of kind %s is %s", (kind, persistence) => {
    expect(isKind(kind) && isTransient(kind)).toBe(persistence === "transient");
  });

  it.each([
    { of: "an exception", failure: classify(exception(60), 404, 60) },
    { of: "an unknown exception", failure: classify(exception(7), 200, undefined) },
    { of: "an error", failure: classify(new Error(TEXT), 500, undefined) },
    { of: "no response", failure: classify(new Error(TEXT), undefined, undefined) },
  ])("contains no text of the server, which may quote SQL and values: $of", ({ failure }) => {
    expect(JSON.stringify([failure, adviceFor(failure)])).not.toMatch(/secret|Exception|SOME_NAME/);
  });

  it("has its own line of advice for each kind", () => {
    const lines = kinds.map((kind) => adviceFor({ kind }));
    for (const line of lines) expect(line).toMatch(/^\w[^\n]{20,}\.$/);
    expect(new Set(lines).size).toBe(kinds.length);
  });

  it.each<[kind: FailureKind, settings: string[]]>([
    ["unreachable", ["CLICKHOUSE_URL"]],
    ["timeout", ["QUERY_TIMEOUT_SECONDS"]],
    ["bad_answer", ["CLICKHOUSE_URL"]],
    ["credentials", ["CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD", "SELECT"]],
    ["missing_table", ["CLICKHOUSE_DATABASE", "EVENTS_TABLE", "migrations/clickhouse"]],
    ["missing_column", ["migrations/clickhouse"]],
    ["settings_refused", ["readonly = 2"]],
    ["bad_rows", ["EVENTS_TABLE"]],
    ["limited", ["max_rows_to_read"]],
    ["refused", ["CLICKHOUSE_URL"]],
  ])("names the setting to check in its advice: %s", (kind, settings) => {
    for (const setting of settings) expect(adviceFor({ kind })).toContain(setting);
  });
});

describe("adviceForStates", () => {
  it.each([
    ["missing_table", /tables do not exist\. Run migrations\/clickhouse\/0002 to 0012\.$/],
    ["missing_column", /lack a column\. Run migrations\/clickhouse\/0009 to 0012\.$/],
    ["credentials", /need SELECT, INSERT and ALTER DELETE/],
    ["settings_refused", /need SELECT, INSERT and ALTER DELETE.* no readonly\. See docs\/states\.md\.$/],
  ] as const)("concerns the tables of states for %s", (kind, advice) => {
    expect(adviceForStates({ kind })).toMatch(advice);
  });

  it.each(["timeout", "bad_query", "limited"] as const)("is the same as for the events for %s", (kind) => {
    expect(adviceForStates({ kind })).toBe(adviceFor({ kind }));
  });
});
