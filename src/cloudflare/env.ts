import type { D1Database, DurableObjectNamespace, RateLimit, Rpc } from "@cloudflare/workers-types";
import type { AlertDelivery } from "../alerts/alerter.ts";
import type { Coordinators } from "../refresh/coordinator-types.ts";
import type { RefreshSlice } from "../refresh/refresh-slice.ts";

// The RPC interfaces of the Durable Objects are declared here, so that no object imports another one.

export type CoordinatorRpc = Coordinators & Rpc.DurableObjectBranded;
export type AlerterRpc = AlertDelivery & Rpc.DurableObjectBranded;
export type SweeperRpc = {
  /** Runs one sweep, and resolves to false if an experiment was not refreshed. A call during a sweep shares its result. */
  sweep(now: number): Promise<boolean>;
  /** Called by the sweeper itself. */
  refreshSlice: RefreshSlice;
} & Rpc.DurableObjectBranded;

/** The bindings of wrangler.toml. Vars and secrets are not listed: `parseSettings` validates them. */
export type Env = {
  DB: D1Database;
  FAILED_ATTEMPTS: RateLimit;
  COORDINATOR: DurableObjectNamespace<CoordinatorRpc>;
  SWEEPER: DurableObjectNamespace<SweeperRpc>;
  ALERTER: DurableObjectNamespace<AlerterRpc>;
};
