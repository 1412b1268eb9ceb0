import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { inject } from "vitest";
import { readSqlite } from "./read-sqlite.ts";

const NAME = "edge-exposures";

/**
 * The Worker as wrangler builds it, in workerd by bare Miniflare, with a migrated D1. Its state is a folder that
 * outlives the runtime.
 * @param entry wraps the Worker. It imports nothing but src/worker.ts and types.
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
      handleStructuredLogs: ({ message }) => lines.push(message),
      workers: [{ ...options, name: NAME, modules, bindings: { ...defaults, ...bindings } }],
    });
  let miniflare = new Miniflare(optionsFor(vars));
  const [file = ""] = globSync(join(folder, "**/miniflare-D1DatabaseObject/*.sqlite"), {
    exclude: (path) => path.endsWith("metadata.sqlite"),
  });
  // By the file, since Miniflare's own way to the database blocks this process for each call.
  const select = async (sql: string) => readSqlite(file, sql);
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
    /** Evicts the coordinator of an experiment: its memory is lost, and what it was doing. */
    crash: (experimentId: string) =>
      miniflare.unsafeEvictDurableObject(NAME, "RefreshCoordinator", { name: experimentId }),
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
    select,
    query: select,
    async stop() {
      await miniflare.dispose();
      rmSync(folder, { recursive: true });
    },
  };
}
