import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Order } from "./order.ts";

/** Which transaction, counted from 0, goes wrong, and how. */
export type Fault = { at: number; order: Order };

/** Tells the D1 of faulty.ts what to do, transaction by transaction. */
export async function startOrders() {
  type Watch = { about: string | null; fault: Fault | null; seen: string[] };
  const watches = new Set<Watch>();

  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync<Buffer>(request)).toString();
    const statements: { sql: string; values: unknown[] }[] = JSON.parse(body);
    const values = statements.flatMap((statement) => statement.values);
    const watch = watches.values().find(({ about }) => about === null || values.includes(about));
    const number = watch?.seen.push(statements.map(({ sql }) => sql).join("; ")) ?? 0;
    const { at, order }: Fault = watch?.fault ?? { at: -1, order: "do" };
    response.end(at === number - 1 ? order : "do");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    /** Watches the transactions that name somebody in their values, or all, and lets one of them go wrong. */
    watch(about: string | null, fault: Fault | null) {
      const watch: Watch = { about, fault, seen: [] };
      watches.add(watch);
      return { seen: watch.seen, end: () => watches.delete(watch) };
    },
    stop: () => server.close(),
  };
}
