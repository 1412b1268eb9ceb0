import type { AppDeps } from "../../src/http/deps.ts";
import { parseSettings } from "../../src/settings.ts";
import type { Database } from "../../src/store/database.ts";
import { createSummaryCache, invalidateAfter, summariesThrough } from "../../src/store/summary-cache.ts";
import { createDiscovery } from "../../src/warehouse/discovery.ts";
import { idleWarehouse } from "./idle-warehouse.ts";

/** A database without rows that ignores writes. */
export const emptyDatabase: Database = { read: async () => [], transact: async () => [[], [], []] };

/**
 * Creates the dependencies of an app in this process. The summary cache wraps the database; the dispatcher and the
 * warehouse do nothing. `overrides` replaces single dependencies.
 */
export function appDeps(env: object, database: Database, overrides: Partial<AppDeps> = {}): AppDeps {
  const settings = parseSettings({ ...env });
  if (!settings.ok) throw new Error(`invalid settings: ${JSON.stringify(settings.failure)}`);
  const clock = overrides.clock ?? Date.now;
  const cache = createSummaryCache(settings.value.cacheSeconds * 1000, clock);
  const cached = invalidateAfter(database, cache);
  return {
    settings: settings.value,
    database: cached,
    summaries: summariesThrough(cache, cached),
    warehouse: idleWarehouse,
    discovery: createDiscovery(overrides.warehouse ?? idleWarehouse, settings.value.warehouse.queryTimeoutMs, clock),
    dispatcher: { wake: async () => undefined },
    flagsmith: null,
    alerts: null,
    limiter: async () => true,
    clock,
    log: () => undefined,
    ...overrides,
  };
}
