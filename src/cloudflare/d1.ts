import type { D1Database, D1DatabaseSession } from "@cloudflare/workers-types";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";

/** D1 through its sessions: reads go to the nearest replica, transactions to the primary. */
export function openD1(d1: D1Database): Database {
  const prepare = (session: D1DatabaseSession, { sql, values }: Statement) => session.prepare(sql).bind(...values);
  return {
    async read(statement) {
      try {
        const { results } = await prepare(d1.withSession("first-unconstrained"), statement).all<Row>();
        return results;
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a read", { cause: error });
      }
    },
    async transact(statements) {
      const session = d1.withSession("first-primary");
      try {
        const answers = await session.batch<Row>(statements.map((statement) => prepare(session, statement)));
        return answers.map(({ results }) => results);
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a transaction", { cause: error });
      }
    },
  };
}
