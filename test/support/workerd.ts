import type { D1Database, DurableObjectNamespace } from "@cloudflare/workers-types";
import { createTestHarness } from "wrangler";
import type { Row } from "../../src/store/database.ts";

type Env = { DB: D1Database; COORDINATOR: DurableObjectNamespace };

/** Starts the Worker in workerd, with an empty D1. */
export async function startWorkerd(vars: Record<string, string>) {
  const harness = createTestHarness({ workers: [{ configPath: "wrangler.toml", vars }] });
  const { url } = await harness.listen();
  const worker = harness.getWorker<Env>();
  await worker.applyD1Migrations("DB");
  return {
    worker,
    url,
    select: async (sql: string): Promise<Row[]> => (await (await worker.getEnv()).DB.prepare(sql).all<Row>()).results,
    fetch: (path: string, init: RequestInit & { duplex?: "half" }) =>
      harness.fetch(path, init as Parameters<typeof harness.fetch>[1]),
    trigger: async (at: number) => (await worker.scheduled({ scheduledTime: new Date(at) })).outcome === "ok",
    lines: () => harness.getLogs().map(({ message }) => message),
    clearLines: () => harness.clearLogs(),
    /** Evicts the coordinator of an experiment, which loses its memory and its work in flight. */
    crash: (experimentId: string) => worker.evictDurableObject("COORDINATOR", { name: experimentId }),
    stop: () => harness.close(),
  };
}
