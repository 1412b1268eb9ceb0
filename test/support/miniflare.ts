import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { inject } from "vitest";
import { findD1 } from "../../src/dev/local-d1.ts";
import { createSqliteReader } from "./read-sqlite.ts";

/** The beginning of workerd's own warnings, for example that a busy machine fired an alarm late. */
const RUNTIME_WARNING = "NOSENTRY ";

/**
 * Runs the Worker as wrangler builds it, in workerd, with a migrated D1. The state is in a folder and survives restarts.
 * @param entry a module that wraps the Worker. It may import only src/worker.ts and types.
 */
export async function startMiniflare(vars: Record<string, string>, entry?: string) {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-miniflare-"));
  const { script, options, vars: defaults, state } = inject("worker");
  cpSync(state, folder, { recursive: true });
  const modules = [{ type: "ESModule" as const, path: "worker.js", contents: readFileSync(script, "utf8") }];
  if (entry !== undefined) {
    const source = stripTypeScriptTypes(readFileSync(entry, "utf8"));
    const contents = source.replaceAll("../../../src/worker.ts", "./worker.js");
    modules.unshift({ type: "ESModule", path: "entry.js", contents });
  }
  let port = 0;
  let lines: string[] = [];
  const optionsFor = (bindings: Record<string, string>) =>
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      cf: false,
      log: new NoOpLog(),
      resourcePersistencePath: folder,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: ({ message }) => {
        if (!message.startsWith(RUNTIME_WARNING)) lines.push(message);
      },
      workers: [{ ...options, name: "edge-exposures", modules, bindings: { ...defaults, ...bindings } }],
    });
  let miniflare = new Miniflare(optionsFor(vars));
  // Reads the file, because each of Miniflare's own D1 calls blocks this process.
  const { select, close } = createSqliteReader(findD1(folder));
  const url = await miniflare.ready;
  port = Number(url.port);

  return {
    url,
    fetch: (path: string, init: RequestInit & { duplex?: "half" }) => fetch(new URL(path, url), init),
    trigger: async (at: number) => (await fetch(new URL(`/cdn-cgi/local/scheduled?time=${at}`, url))).ok,
    lines: () => lines,
    clearLines: () => {
      lines = [];
    },
    /** Kills the whole runtime (Miniflare uses SIGKILL), and starts it again on the same state. */
    async restart(overrides: Record<string, string> = {}) {
      await miniflare.dispose();
      close();
      miniflare = new Miniflare(optionsFor({ ...vars, ...overrides }));
      await miniflare.ready;
    },
    /** Runs a statement in the database. */
    execute: async (sql: string) => {
      await (await miniflare.getD1Database("DB")).prepare(sql).run();
    },
    /** Reads the database directly, not through the Worker. */
    select,
    query: select,
    async stop() {
      await miniflare.dispose();
      close();
      rmSync(folder, { recursive: true });
    },
  };
}
