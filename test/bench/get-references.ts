import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { openD1 } from "../../src/cloudflare/d1.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import type { Stoppable } from "../../src/dev/local-worker.ts";
import { migrate } from "../../src/store/migrations.ts";
import { freePort } from "../support/free-port.ts";
import { ADMIN, callAs, exposuresOf, idOf } from "./filled.ts";

// The reference servers for GET. Each does one thing, with the minimum of work.

const NOW = Date.now();

export type References = {
  /** Returns a copy of our response as a constant. */
  constant: URL;
  /** Returns a copy of our 304 as a constant. */
  unchanged: URL;
  etag: string;
  /** Servers that read the same row from a database and return its text. */
  rows: Record<string, { url: URL; hasGoal: boolean }>;
};

/** A copy of a response of ours, for a server that returns only that. */
export type Copy = { body: string; headers: [name: string, value: string][]; etag: string };

export async function copyOf(url: URL): Promise<Copy> {
  const get = async () => callAs(ADMIN, url, "GET", exposuresOf(0));
  await (await get()).text();
  const response = await get();
  // The server adds these headers itself.
  const serverHeaders = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];
  const headers = [...response.headers].filter(([name]) => !serverHeaders.includes(name));
  return { body: await response.text(), headers, etag: response.headers.get("ETag") ?? "" };
}

const constantOf = ({ body, headers }: Copy) => `const body = ${JSON.stringify(body)};
  const init = { headers: ${JSON.stringify(Object.fromEntries(headers))} };
  export default { fetch: () => new Response(body, init) };`;

const unchangedOf = ({ headers }: Copy) => {
  const kept = headers.filter(([name]) => name !== "content-type");
  return `const init = { status: 304, headers: ${JSON.stringify(Object.fromEntries(kept))} };
  export default { fetch: () => new Response(null, init) };`;
};

const SELECT = "SELECT * FROM experiments LEFT JOIN summaries ON experiment_id = id WHERE id = ?";

const d1Of = (from: string) => `export default { async fetch(request, env) {
    const row = await ${from}.prepare("${SELECT}").bind("${idOf(0)}").first();
    return new Response(row.exposures, { headers: { "Content-Type": "application/json" } });
  } };`;

export async function startWorkerReferences(
  _: string,
  copy: Copy,
  onStarted: (part: Stoppable) => void,
): Promise<References> {
  async function start(script: string): Promise<{ url: URL; miniflare: Miniflare }> {
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: "127.0.0.1",
        port: 0,
        cf: false,
        log: new NoOpLog(),
        // The same options as for our Worker, because each affects the speed.
        unsafeTriggerHandlers: true,
        handleStructuredLogs: () => undefined,
        compatibilityDate: "2026-11-17",
        compatibilityFlags: ["no_nodejs_compat"],
        modules: true,
        script,
        d1Databases: ["DB"],
      }),
    );
    onStarted({ stop: () => miniflare.dispose() });
    return { url: await miniflare.ready, miniflare };
  }
  async function startD1(script: string): Promise<URL> {
    const { url, miniflare } = await start(script);
    const d1 = await miniflare.getD1Database("DB");
    await migrate(openD1(d1), readMigrations("migrations/d1"));
    const row = {
      id: idOf(0),
      name: idOf(0),
      environment_key: "env-0",
      feature_name: idOf(0),
      variants: "[]",
      started_at: NOW,
      created_at: NOW,
      updated_at: NOW,
      as_of: NOW,
      computed_at: NOW,
    };
    const columns = Object.keys(row);
    await d1
      .prepare(`INSERT INTO experiments (${columns}) VALUES (${columns.map(() => "?")})`)
      .bind(...Object.values(row))
      .run();
    await d1.prepare("INSERT INTO summaries (experiment_id, exposures) VALUES (?, ?)").bind(row.id, copy.body).run();
    return url;
  }
  return {
    constant: (await start(constantOf(copy))).url,
    unchanged: (await start(unchangedOf(copy))).url,
    etag: copy.etag,
    rows: {
      "first() in a session": { url: await startD1(d1Of(`env.DB.withSession("first-unconstrained")`)), hasGoal: true },
      "first() without": { url: await startD1(d1Of("env.DB")), hasGoal: false },
    },
  };
}

const sqliteOf = (file: string) => `import { DatabaseSync } from "node:sqlite";
  const database = new DatabaseSync(${JSON.stringify(file)}, { readOnly: true });
  const select = database.prepare("${SELECT}");
  const init = { headers: { "Content-Type": "application/json" } };
  export default { fetch: () => new Response(select.get("${idOf(0)}").exposures, init) };`;

/** @param folder contains the database of our service, which one reference also reads */
export async function startDenoReferences(
  folder: string,
  copy: Copy,
  onStarted: (part: Stoppable) => void,
): Promise<References> {
  async function start(name: string, script: string): Promise<URL> {
    const file = join(folder, `${name}.js`);
    writeFileSync(file, script);
    const port = String(await freePort());
    const child = spawn(
      "deno",
      ["serve", "--quiet", "--allow-read", "--allow-write", "--host", "127.0.0.1", "--port", port, file],
      {
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    const exited = once(child, "exit");
    onStarted({
      async stop() {
        child.kill("SIGTERM");
        await exited;
      },
    });
    const url = new URL(`http://127.0.0.1:${port}`);
    while (!(await fetch(url).catch(() => null))) await new Promise((wake) => setTimeout(wake, 50));
    return url;
  }
  return {
    constant: await start("constant", constantOf(copy)),
    unchanged: await start("unchanged", unchangedOf(copy)),
    etag: copy.etag,
    rows: {
      "one node:sqlite get": {
        url: await start("sqlite", sqliteOf(join(folder, "cold", "edge-exposures.sqlite"))),
        hasGoal: true,
      },
    },
  };
}
