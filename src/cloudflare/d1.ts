import type { D1Database, D1DatabaseSession } from "@cloudflare/workers-types";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";

/** Beyond this time, a clear error serves the caller better than a longer wait. */
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
        throw DatabaseUnavailable.because(error);
      }
    },
    async transact(statements) {
      const session = d1.withSession("first-primary");
      try {
        const responses = await withTimeout(
          session.batch<Row>(statements.map((statement) => prepare(session, statement))),
        );
        return responses.map(({ results }) => results);
      } catch (error) {
        throw DatabaseUnavailable.because(error);
      }
    },
  };
}

/** Bounds the wait. A write that times out may still be committed, as when its response is lost. */
async function withTimeout<Value>(response: Promise<Value>): Promise<Value> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  try {
    return await Promise.race([response, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
