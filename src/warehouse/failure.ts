import { ClickHouseError } from "@clickhouse/client-web";

/**
 * The reason for a failed query, in names and numbers only. The text of an exception may quote SQL and values, so it never
 * leaves this module.
 */
export type WarehouseFailure = {
  kind: FailureKind;
  /** The code of the ClickHouse exception, if there was one. */
  code?: number;
  /** The HTTP status of an unsuccessful response. */
  status?: number;
};

/** Transient kinds are retried with backoff. The others wait for the next sweep. */
const TRANSIENT = {
  unreachable: true,
  timeout: true,
  overloaded: true,
  server_error: true,
  bad_answer: true,
  credentials: false,
  missing_table: false,
  missing_column: false,
  settings_refused: false,
  bad_query: false,
  bad_rows: false,
  too_large: false,
  limited: false,
  refused: false,
} as const;
export type FailureKind = keyof typeof TRANSIENT;

/** Checks a stored kind, which another version may have written. */
export function isFailureKind(kind: string): kind is FailureKind {
  return Object.hasOwn(TRANSIENT, kind);
}

export function isTransient(kind: FailureKind): boolean {
  return TRANSIENT[kind];
}

/** The kinds of failures that more queries would make worse: the warehouse is overloaded, slow or too small. */
const OVERLOAD: readonly string[] = ["timeout", "overloaded", "too_large"] satisfies FailureKind[];

export function isOverload(kind: FailureKind): boolean {
  return OVERLOAD.includes(kind);
}

/** The code of a query that ran out of memory. */
export const MEMORY_LIMIT_EXCEEDED = 241;

/** The code of a query that exceeds a limit on rows, or on groups. */
export const TOO_MANY_ROWS = 158;

/** https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp */
const KIND_BY_CODE: Readonly<Record<number, FailureKind>> = {
  3: "unreachable", // UNEXPECTED_END_OF_FILE
  10: "missing_column", // NOT_FOUND_COLUMN_IN_BLOCK
  16: "missing_column", // NO_SUCH_COLUMN_IN_TABLE
  36: "bad_query", // BAD_ARGUMENTS
  43: "bad_query", // ILLEGAL_TYPE_OF_ARGUMENT
  47: "missing_column", // UNKNOWN_IDENTIFIER
  53: "bad_query", // TYPE_MISMATCH
  60: "missing_table", // UNKNOWN_TABLE
  62: "bad_query", // SYNTAX_ERROR
  81: "missing_table", // UNKNOWN_DATABASE
  115: "settings_refused", // UNKNOWN_SETTING
  128: "too_large", // TOO_LARGE_ARRAY_SIZE, for an identity with too many metric events
  [TOO_MANY_ROWS]: "limited",
  159: "timeout", // TIMEOUT_EXCEEDED
  160: "timeout", // TOO_SLOW
  164: "settings_refused", // READONLY
  191: "limited", // SET_SIZE_LIMIT_EXCEEDED
  192: "credentials", // UNKNOWN_USER
  193: "credentials", // WRONG_PASSWORD
  194: "credentials", // REQUIRED_PASSWORD
  195: "credentials", // IP_ADDRESS_NOT_ALLOWED
  201: "overloaded", // QUOTA_EXCEEDED
  202: "overloaded", // TOO_MANY_SIMULTANEOUS_QUERIES
  203: "overloaded", // NO_FREE_CONNECTION
  209: "unreachable", // SOCKET_TIMEOUT
  210: "unreachable", // NETWORK_ERROR
  [MEMORY_LIMIT_EXCEEDED]: "overloaded",
  243: "overloaded", // NOT_ENOUGH_SPACE
  279: "unreachable", // ALL_CONNECTION_TRIES_FAILED
  291: "credentials", // DATABASE_ACCESS_DENIED
  307: "limited", // TOO_MANY_BYTES
  369: "unreachable", // ALL_REPLICAS_ARE_STALE, also if a shard does not answer
  394: "timeout", // QUERY_WAS_CANCELLED
  395: "too_large", // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, for a variant that is too long
  396: "too_large", // TOO_MANY_ROWS_OR_BYTES
  439: "overloaded", // CANNOT_SCHEDULE_TASK
  452: "settings_refused", // SETTING_CONSTRAINT_VIOLATION
  456: "bad_query", // UNKNOWN_QUERY_PARAMETER
  457: "bad_query", // BAD_QUERY_PARAMETER
  497: "credentials", // ACCESS_DENIED
  516: "credentials", // AUTHENTICATION_FAILED
};

/** Classifies an exception by its code, and an unlisted code by the HTTP status. */
function byCode(code: number, status: number | undefined): WarehouseFailure {
  const kind = KIND_BY_CODE[code] ?? byStatus(status ?? 500);
  return status === undefined || status < 400 ? { kind, code } : { kind, code, status };
}

function byStatus(status: number): FailureKind {
  if (status === 401 || status === 403) return "credentials";
  if (status === 408 || status === 504) return "timeout";
  if (status === 425 || status === 429 || status === 503) return "overloaded";
  return status >= 500 ? "server_error" : "refused";
}

/**
 * Classifies an error that occurred while a query was sent or its response was read.
 * @param status the HTTP status, if there was a response; an error after a 200 is a fault of the response itself
 */
export function classify(
  error: unknown,
  status: number | undefined,
  exceptionCode: number | undefined,
): WarehouseFailure {
  if (error instanceof ClickHouseError) return byCode(Number(error.code), status);
  if (exceptionCode !== undefined) return byCode(exceptionCode, status);
  if (status === undefined) return { kind: "unreachable" };
  return status >= 200 && status < 300 ? { kind: "bad_answer" } : { kind: byStatus(status), status };
}
