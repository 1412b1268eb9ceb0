import type { D1Database, D1DatabaseSession, D1PreparedStatement } from "@cloudflare/workers-types";
import type { Env } from "../../../src/cloudflare/env.ts";
import worker, {
  Alerter as RealAlerter,
  RefreshCoordinator as RealCoordinator,
  Sweeper as RealSweeper,
} from "../../../src/worker.ts";
import type { Order } from "./order.ts";

// The real Worker, but its D1 does with each transaction what a test says.

/** The test hears of each transaction there: its SQL and values as JSON. Its answer is one of `Order`. */
type FaultyEnv = Env & { ORDERS_URL: string };

async function obey<Answer>(url: string, statements: Statement[], transaction: () => Promise<Answer>): Promise<Answer> {
  const body = JSON.stringify(statements.map(({ sql, values }) => ({ sql, values })));
  const order = await (await fetch(url, { method: "POST", body })).text();
  const is = (expected: Order) => order === expected;
  if (is("hang")) return new Promise(() => undefined);
  if (is("fail")) throw new Error("D1_ERROR: Network connection lost.");
  const answer = await transaction();
  if (is("do and lose the answer")) throw new Error("D1_ERROR: Network connection lost.");
  return answer;
}

/** As much of D1 as src/cloudflare/d1.ts uses. */
type Statement = { sql: string; values: unknown[]; real: D1PreparedStatement };

function faulty(d1: D1Database, url: string) {
  const withSession = (constraint: Parameters<D1Database["withSession"]>[0]) => {
    const session: D1DatabaseSession = d1.withSession(constraint);
    return {
      prepare: (sql: string) => ({
        bind(...values: unknown[]) {
          const statement = { sql, values, real: session.prepare(sql).bind(...values) };
          return { ...statement, all: () => obey(url, [statement], () => statement.real.all()) };
        },
      }),
      batch: (statements: Statement[]) =>
        obey(url, statements, () => session.batch(statements.map(({ real }) => real))),
    };
  };
  return { withSession };
}

const spoiled = new WeakMap<Env, Env>();

/** The same for the same bindings: the Worker knows them by identity. */
function spoil(env: FaultyEnv): Env {
  const known = spoiled.get(env);
  if (known !== undefined) return known;
  // What it lacks, src/cloudflare/d1.ts does not use.
  const DB = faulty(env.DB, env.ORDERS_URL) as unknown as D1Database;
  const made = { ...env, DB };
  spoiled.set(env, made);
  return made;
}

export class RefreshCoordinator extends RealCoordinator {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, spoil(env));
  }
}

export class Alerter extends RealAlerter {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, spoil(env));
  }
}

export class Sweeper extends RealSweeper {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, spoil(env));
  }
}

export default {
  fetch: (request, env) => worker.fetch(request, spoil(env)),
  scheduled: (controller, env) => worker.scheduled(controller, spoil(env)),
} satisfies ExportedHandler<FaultyEnv>;
