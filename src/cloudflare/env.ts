import type { D1Database, DurableObjectNamespace } from "@cloudflare/workers-types";
import type { RefreshCoordinator } from "./coordinator.ts";

/** The bindings of wrangler.toml. Vars and secrets are read by `parseSettings`, which trusts none of them. */
export type Env = {
  DB: D1Database;
  COORDINATOR: DurableObjectNamespace<RefreshCoordinator>;
};
