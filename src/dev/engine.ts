import { drainPending, Session } from "chdb";

/** The options of a statement. */
export type QueryOptions = {
  /** Identifies the statement, for `kill`. */
  id: string;
  database: string;
  /** The output format, unless the statement names one. */
  format: string;
  /** Values of `{name: Type}` placeholders, as text. */
  parameters: Record<string, string>;
  settings: Record<string, string>;
  /** The settings of the user's profile, which `settings` override. */
  profile: Readonly<Record<string, string>>;
  /** As in ClickHouse: 0 allows everything, 1 neither writes nor settings, 2 settings but no writes. */
  readonly: 0 | 1 | 2;
};

/** An exception of ClickHouse, with its code. */
type EngineError = { code: number; text: string };

/** Opens the ClickHouse engine on a folder. Only one process at a time can open a folder. */
export function openEngine(folder: string) {
  // An open session keeps the engine running between statements.
  const root = new Session(folder);

  /** Runs a statement in a new session, so that its settings do not affect others. A session costs a millisecond. */
  async function run(statement: string, options: QueryOptions): Promise<Uint8Array> {
    const session = new Session(folder);
    try {
      await session.queryAsync(preamble(options).join("; "));
      const bound = Object.keys(options.parameters).length > 0;
      const result = bound
        ? await session.queryBindAsync(statement, options.parameters, { format: options.format })
        : await session.queryAsync(statement, { format: options.format });
      return result.bytes();
    } finally {
      session.close();
    }
  }

  /** Cancels a running statement. */
  async function kill(id: string): Promise<void> {
    await root.queryAsync(`KILL QUERY WHERE Settings['query_cache_tag'] = ${quote(id)} ASYNC`);
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

/** The statements that prepare a session. They run as one call, because each call takes time. */
function preamble({ database, profile, id, readonly, settings }: QueryOptions): string[] {
  return [
    `USE \`${database.replaceAll(/[`\\]/g, "\\$&")}\``,
    // readonly is set before the query's settings, because it may forbid them. The tag has no other effect, because the
    // embedded engine has no query cache.
    setStatement({ ...profile, query_cache_tag: id, readonly: String(readonly) }),
    ...(Object.keys(settings).length > 0 ? [setStatement(settings)] : []),
  ];
}

/** Builds one SET statement for all settings, because each statement takes time. */
function setStatement(settings: Readonly<Record<string, string>>): string {
  const assignments = Object.entries(settings).map(
    ([name, value]) => `${name.replaceAll(/\W/g, "_")} = ${quote(value)}`,
  );
  return `SET ${assignments.join(", ")}`;
}

function quote(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
