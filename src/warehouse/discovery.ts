import { ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { discoverEvents, type FoundEvents } from "./discover-events.ts";
import { discoverFeatures, type FoundFeatures } from "./discover-features.ts";
import type { WarehouseFailure } from "./failure.ts";
import { createSharedAnswers } from "./shared-answers.ts";

/** The contents of the warehouse, for forms. A process asks each question at most once a minute. */
export type Discovery = {
  /** @param environmentKey only features of this environment; null: of all */
  features(environmentKey?: string | null): Promise<Result<FoundFeatures, WarehouseFailure>>;
  events(environmentKey: string): Promise<Result<FoundEvents, WarehouseFailure>>;
};

export function createDiscovery(warehouse: Warehouse, timeoutMs: number, clock: () => number): Discovery {
  const shareFeatures = createSharedAnswers<FoundFeatures>(timeoutMs, clock);
  const shareEvents = createSharedAnswers<FoundEvents>(timeoutMs, clock);
  const askFor = (environmentKey: string | null) =>
    shareFeatures(JSON.stringify(environmentKey), () => discoverFeatures(warehouse, environmentKey, clock()));

  return {
    async features(environmentKey = null) {
      const all = await askFor(null);
      if (!all.ok || environmentKey === null) return all;
      // The features of other environments may have displaced those of this one.
      if (all.value.isTruncated) return askFor(environmentKey);
      const isInScope = (feature: { environmentKey: string }) => feature.environmentKey === environmentKey;
      return ok({ features: all.value.features.filter(isInScope), isTruncated: false });
    },
    events: (environmentKey) => shareEvents(environmentKey, () => discoverEvents(warehouse, environmentKey, clock())),
  };
}
