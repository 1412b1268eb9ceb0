import { ClickHouseError } from "@clickhouse/client-web";
import { describe, expect, it } from "vitest";
import { adviceFor } from "../../src/warehouse/advice.ts";
import { classify, type FailureKind, isTransient } from "../../src/warehouse/failure.ts";

const TEXT = "DB::Exception: secret table, secret value";

/** As the client throws it, with its number as text. */
const exception = (code: number) => new ClickHouseError({ message: TEXT, code: String(code), type: "SOME_NAME" });

/** Every kind of failure, and whether it may pass by itself. */
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
  refused: "permanent",
};
const isKind = (kind: string): kind is FailureKind => kind in KINDS;
const kinds = Object.keys(KINDS).filter(isKind);

describe("an exception that ClickHouse names by its number", () => {
  it.each<[kind: FailureKind, codes: number[]]>([
    ["credentials", [192, 193, 194, 195, 291, 497, 516]],
    ["missing_table", [60, 81]],
    ["missing_column", [10, 16, 47]],
    ["bad_query", [36, 43, 53, 62, 456, 457]],
    ["settings_refused", [115, 164, 452]],
    ["timeout", [159, 160, 394]],
    ["overloaded", [201, 202, 203, 241, 243, 439]],
    ["unreachable", [3, 209, 210, 279]],
    ["too_large", [158, 307, 396]],
  ])("is %s for the numbers %j", (kind, codes) => {
    for (const code of codes)
      expect(classify(exception(code), undefined, undefined), String(code)).toEqual({ kind, code });
  });

  it("is told apart whether the body or the header names it, and keeps the status of a failure", () => {
    const known = { kind: "missing_table", code: 60, status: 404 };
    expect(classify(exception(60), 404, undefined)).toEqual(known);
    expect(classify(new Error("no body"), 404, 60)).toEqual(known);
    expect(classify(exception(60), 400, undefined)).toEqual({ kind: "missing_table", code: 60, status: 400 });
  });

  it("keeps no status of an answer that began as a success", () => {
    expect(classify(exception(60), 200, undefined)).toEqual({ kind: "missing_table", code: 60 });
  });

  it("goes by the status when the number is not known, and without one is the server's fault", () => {
    expect(classify(exception(999_999), 403, undefined)).toEqual({ kind: "credentials", code: 999_999, status: 403 });
    expect(classify(exception(999_999), 500, undefined)).toMatchObject({ kind: "server_error" });
    expect(classify(exception(999_999), undefined, undefined)).toStrictEqual({ kind: "server_error", code: 999_999 });
  });
});

describe("an answer without a number", () => {
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
  ])("goes by its status: %i is %s", (status, kind) => {
    expect(classify(new Error(TEXT), status, undefined)).toEqual({ kind, status });
  });

  it.each([200, 204, 299])("is a bad one when it began as a success: %i", (status) => {
    expect(classify(new SyntaxError(TEXT), status, undefined)).toEqual({ kind: "bad_answer" });
  });

  it("is none at all: the warehouse can't be reached", () => {
    expect(classify(new TypeError("fetch failed"), undefined, undefined)).toEqual({ kind: "unreachable" });
    expect(classify(undefined, undefined, undefined)).toEqual({ kind: "unreachable" });
  });

  it("may have an informational status, which is no success", () => {
    expect(classify(new Error(TEXT), 199, undefined)).toEqual({ kind: "refused", status: 199 });
  });
});

describe("every failure", () => {
  it.each(Object.entries(KINDS))("%s is %s", (kind, lasting) => {
    expect(isKind(kind) && isTransient(kind)).toBe(lasting === "transient");
  });

  it.each([
    { of: "an exception", failure: classify(exception(60), 404, 60) },
    { of: "an unknown exception", failure: classify(exception(7), 200, undefined) },
    { of: "an error", failure: classify(new Error(TEXT), 500, undefined) },
    { of: "no answer", failure: classify(new Error(TEXT), undefined, undefined) },
  ])("never repeats what the server said, which may quote SQL and its values: $of", ({ failure }) => {
    expect(JSON.stringify([failure, adviceFor(failure)])).not.toMatch(/secret|Exception|SOME_NAME/);
  });

  it("has one line of advice of its own", () => {
    const lines = kinds.map((kind) => adviceFor({ kind }));
    for (const line of lines) expect(line).toMatch(/^\w[^\n]{20,}$/);
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
    ["refused", ["CLICKHOUSE_URL"]],
  ])("names the setting to look at: %s", (kind, settings) => {
    for (const setting of settings) expect(adviceFor({ kind })).toContain(setting);
  });
});
