export type LogLevel = "info" | "warn" | "error";
type LogFields = Record<string, string | number | boolean | null | readonly string[]>;

/** One event for the operator. Never give it a token, a password, SQL or its parameters. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Writes each event as one JSON object a line to the console, which every runtime keeps as its log. */
export const consoleLog: Log = (level, event, fields) => {
  // biome-ignore lint/suspicious/noConsole: the console is the log, and this is the one place that writes it.
  console[level](JSON.stringify({ event, level, ...fields }));
};

/** The whole of an unexpected error, for the log only. */
export function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}
