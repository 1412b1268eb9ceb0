import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { FaultMode } from "./fault-mode.ts";

/** A fault in the transaction with this index. */
export type Fault = { index: number; mode: FaultMode };

/** Starts the server that the D1 of faulty.ts asks for the mode of each transaction. */
export async function startFaultServer() {
  type Interception = { value: string | null; fault: Fault | null; transactions: string[] };
  const interceptions = new Set<Interception>();

  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync<Buffer>(request)).toString();
    const statements: { sql: string; values: unknown[] }[] = JSON.parse(body);
    const values = statements.flatMap((statement) => statement.values);
    const interception = interceptions.values().find(({ value }) => value === null || values.includes(value));
    const count = interception?.transactions.push(statements.map(({ sql }) => sql).join("; ")) ?? 0;
    const { index, mode }: Fault = interception?.fault ?? { index: -1, mode: "succeed" };
    response.end(index === count - 1 ? mode : "succeed");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    /** Records the transactions with this value, or all for null, and injects the fault into one of them. */
    intercept(value: string | null, fault: Fault | null) {
      const interception: Interception = { value, fault, transactions: [] };
      interceptions.add(interception);
      return { transactions: interception.transactions, end: () => interceptions.delete(interception) };
    },
    stop: () => server.close(),
  };
}
