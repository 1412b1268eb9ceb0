import type { D1Database, D1DatabaseSession, D1PreparedStatement } from "@cloudflare/workers-types";
import type { Env } from "../../../src/cloudflare/env.ts";
import worker, {
  Alerter as RealAlerter,
  RefreshCoordinator as RealCoordinator,
  Dispatcher as RealDispatcher,
} from "../../../src/worker.ts";
import type { FaultMode } from "./fault-mode.ts";

// The real Worker on a D1 with injected faults.

/** The fault server receives the SQL and the values of each transaction, and returns its `FaultMode`. */
type FaultyEnv = Env & { FAULT_SERVER_URL: string };

async function runWithFault<Value>(
  url: string,
  statements: Statement[],
  transaction: () => Promise<Value>,
): Promise<Value> {
  const body = JSON.stringify(statements.map(({ sql, values }) => ({ sql, values })));
  const mode = await (await fetch(url, { method: "POST", body })).text();
  const is = (expected: FaultMode) => mode === expected;
  if (is("hang")) return new Promise(() => undefined);
  if (is("fail")) throw new Error("D1_ERROR: Network connection lost.");
  const response = await transaction();
  if (is("commit and lose the response")) throw new Error("D1_ERROR: Network connection lost.");
  return response;
}

/** A prepared statement, with its text and values for the fault server. */
type Statement = { sql: string; values: unknown[]; real: D1PreparedStatement };

/** The part of D1 that src/cloudflare/d1.ts uses. */
function createFaultyD1(d1: D1Database, url: string) {
  const withSession = (constraint: Parameters<D1Database["withSession"]>[0]) => {
    const session: D1DatabaseSession = d1.withSession(constraint);
    return {
      prepare: (sql: string) => ({
        bind(...values: unknown[]) {
          const statement = { sql, values, real: session.prepare(sql).bind(...values) };
          return { ...statement, all: () => runWithFault(url, [statement], () => statement.real.all()) };
        },
      }),
      batch: (statements: Statement[]) =>
        runWithFault(url, statements, () => session.batch(statements.map(({ real }) => real))),
    };
  };
  return { withSession };
}

const faultyEnvs = new WeakMap<Env, Env>();

/** Replaces D1 in the bindings. The result is cached, because the Worker compares bindings by identity. */
function withFaultyD1(env: FaultyEnv): Env {
  const cached = faultyEnvs.get(env);
  if (cached !== undefined) return cached;
  // src/cloudflare/d1.ts does not use what it lacks.
  const DB = createFaultyD1(env.DB, env.FAULT_SERVER_URL) as unknown as D1Database;
  const faultyEnv = { ...env, DB };
  faultyEnvs.set(env, faultyEnv);
  return faultyEnv;
}

export class RefreshCoordinator extends RealCoordinator {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, withFaultyD1(env));
  }
}

export class Alerter extends RealAlerter {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, withFaultyD1(env));
  }
}

export class Dispatcher extends RealDispatcher {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, withFaultyD1(env));
  }
}

export default {
  fetch: (request, env) => worker.fetch(request, withFaultyD1(env)),
  scheduled: (controller, env) => worker.scheduled(controller, withFaultyD1(env)),
} satisfies ExportedHandler<FaultyEnv>;
