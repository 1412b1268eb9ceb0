import type { D1Database, DurableObjectNamespace, RateLimit, Rpc } from "@cloudflare/workers-types";
import type { AlertDelivery } from "../alerts/alerter.ts";
import type { SyncOutcome, SyncSlice } from "../flagsmith/sync-slice.ts";
import type { RefreshDispatcher } from "../refresh/dispatcher.ts";
import type { Refresh } from "../refresh/refresh-outcome.ts";
import type { RefreshSlice } from "../refresh/refresh-slice.ts";

// The RPC interfaces of the Durable Objects are declared here, so that no object imports another one.

export type CoordinatorRpc = { refresh: Refresh } & Rpc.DurableObjectBranded;
export type AlerterRpc = AlertDelivery & Rpc.DurableObjectBranded;
export type DispatcherRpc = RefreshDispatcher & {
  /** Runs one sweep, and resolves to false if an experiment was not refreshed. A call during a sweep shares its result. */
  sweep(now: number): Promise<boolean>;
  /** Called by the dispatcher itself. */
  refreshSlice: RefreshSlice;
  /** Requests a sync with Flagsmith, and resolves before it ends. */
  requestSync(): Promise<void>;
  /** Called by the dispatcher itself. Returns the time to wait before a sync may run, in milliseconds; 0: it ran. */
  syncFlagsmith(): Promise<number>;
  /** Called by the dispatcher itself. */
  syncSlice(slice: SyncSlice): Promise<SyncOutcome>;
  /** Drops and deletes states that no experiment needs. Called by the dispatcher itself. */
  cleanUp(): Promise<void>;
} & Rpc.DurableObjectBranded;

/** The bindings of wrangler.toml. Vars and secrets are not listed: `parseSettings` validates them. */
export type Env = {
  DB: D1Database;
  FAILED_ATTEMPTS: RateLimit;
  COORDINATOR: DurableObjectNamespace<CoordinatorRpc>;
  DISPATCHER: DurableObjectNamespace<DispatcherRpc>;
  ALERTER: DurableObjectNamespace<AlerterRpc>;
};
