import type { D1Database, DurableObjectNamespace, RateLimit } from "@cloudflare/workers-types";
import type { Alerter } from "./alerter-object.ts";
import type { RefreshCoordinator } from "./coordinator-object.ts";
import type { Sweeper } from "./sweeper-object.ts";

/** The bindings of wrangler.toml. Vars and secrets are read by `parseSettings`, which trusts none of them. */
export type Env = {
  DB: D1Database;
  FAILED_ATTEMPTS: RateLimit;
  COORDINATOR: DurableObjectNamespace<RefreshCoordinator>;
  SWEEPER: DurableObjectNamespace<Sweeper>;
  ALERTER: DurableObjectNamespace<Alerter>;
};
