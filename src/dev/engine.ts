import { drainPending, Session } from "chdb";

/** What one request brings to the engine besides its statement. */
export type Call = {
  /** Names the call in the engine's list of processes. */
  id: string;
  database: string;
  /** Of the answer to a statement that names none. */
  format: string;
  /** Values of `{name: Type}` placeholders, as text. */
  parameters: Record<string, string>;
  settings: Record<string, string>;
  /** As in ClickHouse: 0 may do all, 1 may neither write nor set anything, 2 may set but not write. */
  readonly: 0 | 1 | 2;
};

/** An exception of ClickHouse, with its number. */
export type EngineError = { code: number; text: string };

/** The ClickHouse engine on one folder. A folder belongs to one process at a time. */
export function openEngine(folder: string) {
  // Kept open, so that the engine stays up between calls.
  const root = new Session(folder);

  /** Runs one statement in a session of its own, which costs a millisecond and leaves no settings behind. */
  async function run(statement: string, call: Call): Promise<Uint8Array> {
    const session = new Session(folder);
    try {
      await session.queryAsync(`USE \`${call.database.replaceAll(/[`\\]/g, "\\$&")}\``);
      // Settings of the user come after readonly, which may forbid them.
      await session.queryAsync(setStatement({ log_comment: call.id, readonly: String(call.readonly) }));
      if (Object.keys(call.settings).length > 0) await session.queryAsync(setStatement(call.settings));
      const bound = Object.keys(call.parameters).length > 0;
      const result = bound
        ? await session.queryBindAsync(statement, call.parameters, { format: call.format })
        : await session.queryAsync(statement, { format: call.format });
      return result.bytes();
    } finally {
      session.close();
    }
  }

  /** Stops a call that runs. */
  async function kill(id: string): Promise<void> {
    await root.queryAsync(`KILL QUERY WHERE Settings['log_comment'] = ${quote(id)} ASYNC`);
  }

  async function close(): Promise<void> {
    root.close();
    await drainPending();
  }

  return { run, kill, close, version: root.query("SELECT version()").trim().replaceAll('"', "") };
}

export type Engine = ReturnType<typeof openEngine>;

export function engineErrorOf(error: unknown): EngineError {
  const text = error instanceof Error ? error.message : String(error);
  const code = Number(/Code: (\d+)/.exec(text)?.[1] ?? 1002);
  return { code, text };
}

/** One SET for all settings: each further statement would take time of its own. */
function setStatement(settings: Readonly<Record<string, string>>): string {
  const assignments = Object.entries(settings).map(
    ([name, value]) => `${name.replaceAll(/\W/g, "_")} = ${quote(value)}`,
  );
  return `SET ${assignments.join(", ")}`;
}

function quote(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
