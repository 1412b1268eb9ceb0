import type { D1Database, D1DatabaseSession } from "@cloudflare/workers-types";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";

/** After this time, a clear error serves a caller better than waiting on. */
const TIMEOUT_MS = 5_000;

/** Opens D1. Reads go to the nearest replica, transactions to the primary. */
export function openD1(d1: D1Database): Database {
  const prepare = (session: D1DatabaseSession, { sql, values }: Statement) => session.prepare(sql).bind(...values);
  return {
    async read(statement) {
      try {
        const { results } = await withTimeout(prepare(d1.withSession("first-unconstrained"), statement).all<Row>());
        return results;
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a read", { cause: error });
      }
    },
    async transact(statements) {
      const session = d1.withSession("first-primary");
      try {
        const answers = await withTimeout(
          session.batch<Row>(statements.map((statement) => prepare(session, statement))),
        );
        return answers.map(({ results }) => results);
      } catch (error) {
        throw new DatabaseUnavailable("D1 did not answer a transaction", { cause: error });
      }
    },
  };
}

/** A timeout does not undo a write: it may still be committed, like one whose answer was lost. */
async function withTimeout<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
