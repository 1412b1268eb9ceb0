import type { D1Database, D1DatabaseSession } from "@cloudflare/workers-types";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";
import { withTimeout } from "../with-timeout.ts";

/** Beyond this time, a clear error serves the caller better than a longer wait. */
const TIMEOUT_MS = 5_000;

/** Opens D1. Reads go to the nearest replica, transactions to the primary. */
export function openD1(d1: D1Database): Database {
  const prepare = (session: D1DatabaseSession, { sql, values }: Statement) => session.prepare(sql).bind(...values);
  return {
    async read(statement) {
      try {
        const { results } = await inTime(prepare(d1.withSession("first-unconstrained"), statement).all<Row>());
        return results;
      } catch (error) {
        throw DatabaseUnavailable.because(error);
      }
    },
    async transact(statements) {
      const session = d1.withSession("first-primary");
      try {
        const responses = await inTime(session.batch<Row>(statements.map((statement) => prepare(session, statement))));
        return responses.map(({ results }) => results);
      } catch (error) {
        throw DatabaseUnavailable.because(error);
      }
    },
  };
}

/** Bounds the wait. A write that times out may still be committed, as when its response is lost. */
function inTime<Value>(response: Promise<Value>): Promise<Value> {
  return withTimeout(response, TIMEOUT_MS, () => {
    throw new Error(`no answer within ${TIMEOUT_MS} ms`);
  });
}
