export type LogLevel = "info" | "warn" | "error";
type LogFields = Record<string, string | number | boolean | null | readonly string[]>;

/** One event for the operator. Never give it a token, a password, SQL or its parameters. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Writes each event as one JSON object a line to the console, which every runtime keeps as its log. */
export const consoleLog: Log = (level, event, fields) => {
  // biome-ignore lint/suspicious/noConsole: the console is the log, and this is the one place that writes it.
  console[level](JSON.stringify({ event, level, ...fields }));
};

/** The whole of an unexpected error and of what caused it, for the log only. */
export function describeBug(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? String(error);
  return error.cause === undefined ? own : `${own}\ncaused by ${describeBug(error.cause)}`;
}
