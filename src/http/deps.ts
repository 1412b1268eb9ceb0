import type { AlertDelivery } from "../alerts/alerter.ts";
import type { FlagsmithClient } from "../flagsmith/flagsmith-client.ts";
import type { Log } from "../log.ts";
import type { RefreshDispatcher } from "../refresh/dispatcher.ts";
import type { Settings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import type { Summaries } from "../store/summary-cache.ts";
import type { Warehouse } from "../warehouse/client.ts";
import type { Discovery } from "../warehouse/discovery.ts";
import type { Limiter } from "./failed-attempts.ts";

export type FlagsmithAccess = {
  client: FlagsmithClient;
  /** Requests a sync, and resolves before it ends. */
  requestSync(): Promise<void>;
};

/** The app's dependencies, from its runtime. */
export type AppDeps = {
  settings: Settings;
  database: Database;
  summaries: Summaries;
  warehouse: Warehouse;
  discovery: Discovery;
  dispatcher: RefreshDispatcher;
  /** Flagsmith's API and its sync; null: nothing is synced. */
  flagsmith: FlagsmithAccess | null;
  /** Delivers alerts; null: there is no receiver. */
  alerts: AlertDelivery | null;
  /** Limits failed attempts by client address. */
  limiter: Limiter;
  clock: () => number;
  log: Log;
};
