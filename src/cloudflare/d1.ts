import type { D1Database, D1DatabaseSession } from "@cloudflare/workers-types";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";

/** Whoever waits for D1 any longer is better served by a clear no. */
const DEADLINE_MS = 5_000;

/** D1 through its sessions: reads go to the nearest replica, transactions to the primary. */
export function openD1(d1: D1Database): Database {
  const prepare = (session: D1DatabaseSession, { sql, values }: Statement) => session.prepare(sql).bind(...values);
  return {
    async read(statement) {
      try {
        const { results } = await inTime(prepare(d1.withSession("first-unconstrained"), statement).all<Row>());
        return results;
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a read", { cause: error });
      }
    },
    async transact(statements) {
      const session = d1.withSession("first-primary");
      try {
        const answers = await inTime(session.batch<Row>(statements.map((statement) => prepare(session, statement))));
        return answers.map(({ results }) => results);
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a transaction", { cause: error });
      }
    },
  };
}

/** What is not answered in time is not undone: a late write stands, as one whose answer was lost. */
async function inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  try {
    return await Promise.race([answer, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
