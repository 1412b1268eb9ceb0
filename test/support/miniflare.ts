import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { openD1 } from "../../src/cloudflare/d1.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { migrate } from "../../src/store/migrations.ts";
import { freePort } from "./deno.ts";

const NAME = "edge-exposures";

/**
 * The real Worker, or another entry around it, in workerd by bare Miniflare: unlike wrangler's harness it keeps its
 * state in a folder, and so outlives its runtime.
 */
export async function startMiniflare(vars: Record<string, string>, entry = "src/worker.ts") {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-miniflare-"));
  const port = await freePort();
  const url = new URL(`http://127.0.0.1:${port}`);
  await promisify(execFile)("wrangler", ["deploy", entry, "--dry-run", "--outdir", folder], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  const script = join(folder, `${basename(entry, ".ts")}.js`);
  const { workerOptions } = unstable_getMiniflareWorkerOptions("wrangler.toml");
  let lines: string[] = [];
  const optionsFor = (bindings: Record<string, string>) =>
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      cf: false,
      log: new NoOpLog(),
      resourcePersistencePath: folder,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: ({ message }) => lines.push(message),
      workers: [
        {
          ...workerOptions,
          name: NAME,
          modules: [{ type: "ESModule", path: "worker.js", contents: readFileSync(script, "utf8") }],
          bindings,
        },
      ],
    });
  let miniflare = new Miniflare(optionsFor(vars));
  const database = () => miniflare.getD1Database("DB");
  await migrate(openD1(await database()), readMigrations("migrations/d1"));
  await miniflare.ready;

  return {
    fetch: (path: string, init: RequestInit & { duplex?: "half" }) => fetch(new URL(path, url), init),
    trigger: async (at: number) => (await fetch(new URL(`/cdn-cgi/local/scheduled?time=${at}`, url))).ok,
    lines: () => lines,
    clearLines: () => {
      lines = [];
    },
    /** The coordinator of an experiment loses its memory, and what it was doing; only with that entry. */
    crash: async (experimentId: string) => {
      const gone = await fetch(url, { headers: { "X-Vanish": experimentId } });
      await gone.body?.cancel();
    },
    /**
     * The whole runtime is killed (Miniflare ends it by SIGKILL), and started again on what it has left behind, if need
     * be with other settings.
     */
    async restart(changed: Record<string, string> = {}) {
      await miniflare.dispose();
      miniflare = new Miniflare(optionsFor({ ...vars, ...changed }));
      await miniflare.ready;
    },
    /** Reads the database, past the Worker. */
    query: async (sql: string): Promise<Record<string, unknown>[]> => {
      const { results } = await (await database()).prepare(sql).all();
      return results;
    },
    async stop() {
      await miniflare.dispose();
      rmSync(folder, { recursive: true });
    },
  };
}
