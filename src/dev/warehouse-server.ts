import { randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Engine, engineErrorOf, type QueryOptions } from "./engine.ts";

export type WarehouseUser = {
  name: string;
  password: string;
  readonly: 0 | 1 | 2;
  /** Settings that apply unless the query overrides them. */
  profile?: Readonly<Record<string, string>>;
};

/** Parameters of ClickHouse's HTTP interface that are not settings. https://clickhouse.com/docs/interfaces/http */
const NOT_SETTINGS = new Set([
  ...["query", "query_id", "database", "default_format", "user", "password", "role", "quota_key", "stacktrace"],
  ...["session_id", "session_check", "session_timeout", "wait_end_of_query", "buffer_size", "compress", "decompress"],
]);

/** HTTP statuses by exception code, as in ClickHouse. The default is 500. */
const STATUS_BY_CODE: Readonly<Record<number, number>> = {
  43: 400,
  47: 404,
  53: 400,
  60: 404,
  62: 400,
  81: 404,
  115: 404,
  159: 408,
  456: 400,
  457: 400,
  497: 403,
  516: 403,
};

/**
 * Creates a server that speaks ClickHouse's HTTP protocol for the embedded engine. It supports what the clients use:
 * queries, inserts, parameters, settings, users, and exception codes.
 */
export function createWarehouse(engine: Engine, users: readonly WarehouseUser[]): Server {
  // The URL contains the parameters. ClickHouse has the same limit. Clients end idle connections: if the server did, it could
  // close one that a client has just sent a query on.
  return createServer({ maxHeaderSize: 1024 * 1024, keepAliveTimeout: 0 }, (request, response) => {
    void handle(request, response).catch((error: unknown) => {
      console.error(JSON.stringify({ event: "warehouse.bug", error: String(error) }));
      response.destroy();
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const body = Buffer.concat(await Array.fromAsync<Buffer>(request)).toString();
    const query = url.searchParams.get("query") ?? "";
    const statement = query === "" ? body : body === "" ? query : `${query}\n${body}`;
    if (statement === "") return void response.end("Ok.\n");

    const id = url.searchParams.get("query_id") ?? randomUUID();
    response.setHeader("X-ClickHouse-Query-Id", id);
    response.setHeader("Content-Type", "text/plain; charset=UTF-8");
    const user = authenticate(request, url);
    if (user === null) {
      return reject(response, {
        code: 516,
        text: "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)",
      });
    }
    const options: QueryOptions = { ...readOptions(url), id, readonly: user.readonly, profile: user.profile ?? {} };
    const cancel = options.settings["cancel_http_readonly_queries_on_client_close"] === "1";
    response.on("close", () => {
      if (!response.writableEnded && cancel) void engine.kill(id).catch(() => undefined);
    });
    try {
      response.end(await engine.run(statement, options));
    } catch (error) {
      reject(response, engineErrorOf(error));
    }
  }

  function authenticate(request: IncomingMessage, url: URL): WarehouseUser | null {
    const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    const decoded = Buffer.from(basic ?? "", "base64").toString();
    const [name = "", password = ""] =
      basic === undefined ? [] : [decoded.split(":", 1)[0], decoded.replace(/^[^:]*:/, "")];
    const userName = name || url.searchParams.get("user") || header(request, "x-clickhouse-user") || "default";
    const given = password || url.searchParams.get("password") || header(request, "x-clickhouse-key") || "";
    const user = users.find((candidate) => candidate.name === userName);
    return user !== undefined && isSame(given, user.password) ? user : null;
  }

  function reject(response: ServerResponse, { code, text }: { code: number; text: string }): void {
    response.writeHead(STATUS_BY_CODE[code] ?? 500, { "X-ClickHouse-Exception-Code": code });
    response.end(`${text} (version ${engine.version})\n`);
  }
}

function readOptions(url: URL): Omit<QueryOptions, "id" | "readonly" | "profile"> {
  const parameters: Record<string, string> = {};
  const settings: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    if (name.startsWith("param_")) parameters[name.slice("param_".length)] = unescapeTsv(value);
    else if (!NOT_SETTINGS.has(name)) settings[name] = value;
  }
  const database = url.searchParams.get("database") ?? "default";
  const format = url.searchParams.get("default_format") ?? "TabSeparated";
  return { database, format, parameters, settings };
}

const ESCAPES: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", b: "\b", f: "\f", "0": "\0" };

/** Unescapes a parameter, which is escaped as in TabSeparated: `it\'s` is it's. */
function unescapeTsv(value: string): string {
  return value.replaceAll(/\\(.)/gs, (_, character: string) => ESCAPES[character] ?? character);
}

function header(request: IncomingMessage, name: string): string | undefined {
  return request.headers[name]?.toString();
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
