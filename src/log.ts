export type LogLevel = "info" | "warn" | "error";
type LogFields = Record<string, string | number | boolean | null | readonly string[]>;

/** Logs one event for the operator. Never pass a token, a password, SQL or its parameters. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Writes each event to the console as one line of JSON. Every runtime collects the console as its log. */
export const consoleLog: Log = (level, event, fields) => {
  // biome-ignore lint/suspicious/noConsole: the console is the log, and only this function writes to it.
  console[level](JSON.stringify({ event, level, ...fields }));
};

/** The message of an error's innermost cause, for an expected failure that needs no stack. */
export function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : rootMessage(error.cause);
}

/** Formats an unexpected error with its stack and its causes. Only the log may show it. */
export function describeBug(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? String(error);
  return error.cause === undefined ? own : `${own}\ncaused by ${describeBug(error.cause)}`;
}
