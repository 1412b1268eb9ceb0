import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { openD1 } from "../../src/cloudflare/d1.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import type { Stoppable } from "../../src/dev/local-worker.ts";
import { migrate } from "../../src/store/migrations.ts";
import { freePort } from "../support/deno.ts";
import { ADMIN, callAs, exposuresOf, idOf } from "./filled.ts";

// The servers beside which ours is measured: each does one thing, and nobody could do it with less.

const NOW = Date.now();

export type References = {
  /** Our answer, as a constant. */
  constant: URL;
  /** Our 304, as a constant. */
  unchanged: URL;
  etag: string;
  /** What reads the same row from a database and answers its text. */
  rows: Record<string, { url: URL; hasGoal: boolean }>;
};

/** An answer of ours, to be given by a server that does nothing else. */
export type Copy = { body: string; headers: [name: string, value: string][]; etag: string };

export async function copyOf(url: URL): Promise<Copy> {
  const ask = async () => callAs(ADMIN, url, "GET", exposuresOf(0));
  await (await ask()).text();
  const answer = await ask();
  // What the server itself adds is none of the answer.
  const own = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];
  const headers = [...answer.headers].filter(([name]) => !own.includes(name));
  return { body: await answer.text(), headers, etag: answer.headers.get("ETag") ?? "" };
}

const constantOf = ({ body, headers }: Copy) => `const body = ${JSON.stringify(body)};
  const init = { headers: ${JSON.stringify(Object.fromEntries(headers))} };
  export default { fetch: () => new Response(body, init) };`;

const unchangedOf = ({ headers }: Copy) => {
  const kept = headers.filter(([name]) => name !== "content-type");
  return `const init = { status: 304, headers: ${JSON.stringify(Object.fromEntries(kept))} };
  export default { fetch: () => new Response(null, init) };`;
};

const SELECT = "SELECT * FROM experiments WHERE id = ?";

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
        // As the local run starts ours: each of these costs something, or spares it.
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
      ...{ id: idOf(0), name: idOf(0), environment_key: "env-0", feature_name: idOf(0), variants: "[]" },
      ...{ started_at: NOW, created_at: NOW, updated_at: NOW, as_of: NOW, computed_at: NOW, exposures: copy.body },
    };
    const columns = Object.keys(row);
    await d1
      .prepare(`INSERT INTO experiments (${columns}) VALUES (${columns.map(() => "?")})`)
      .bind(...Object.values(row))
      .run();
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

/** @param folder with the database of our own service, which one of them reads too */
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
