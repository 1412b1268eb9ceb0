import { Hono } from "hono";
import { findOpenExperiments } from "../store/open-experiments.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { checkSource } from "../warehouse/check-warehouse.ts";
import type { FoundEvent } from "../warehouse/discover-events.ts";
import type { FoundFeature } from "../warehouse/discover-features.ts";
import type { Authentication } from "./authentication.ts";
import { parseInput } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { eventsQuery } from "./schemas.ts";

export function warehouseRoutes(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const { warehouse, discovery, database, settings, clock } = deps;
  const app = new Hono<AppEnv>();
  const write = authentication.require("write");

  app.get("/check", write, async (c) => {
    const checked = await checkSource(warehouse, settings.states !== null);
    return checked.ok ? c.json({ status: "ok" }) : refuse({ kind: "warehouse", detail: checked.failure });
  });

  app.get("/features", write, async (c) => {
    const found = await discovery.features(c.var.caller.environmentKey);
    if (!found.ok) return refuse({ kind: "warehouse", detail: adviceFor(found.failure) });
    const { features, isTruncated } = found.value;
    const open = await findOpenExperiments(database, features, clock());
    const list = features.map((feature, index) => featureJson(feature, open[index] ?? null));
    return c.json({ features: list, ...truncation(isTruncated) });
  });

  app.get("/events", write, async (c) => {
    const query = parseInput(eventsQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const scope = c.var.caller.environmentKey;
    const environmentKey = query.value.environment_key;
    if (scope !== null && scope !== environmentKey) return c.json({ events: [] });
    const found = await discovery.events(environmentKey);
    if (!found.ok) return refuse({ kind: "warehouse", detail: adviceFor(found.failure) });
    return c.json({ events: found.value.events.map(eventJson), ...truncation(found.value.isTruncated) });
  });

  return app;
}

const truncation = (isTruncated: boolean) => (isTruncated ? { is_truncated: true } : {});

function featureJson(feature: FoundFeature, experimentId: string | null) {
  return {
    environment_key: feature.environmentKey,
    feature_name: feature.featureName,
    variants: feature.variants,
    first_exposure_at: new Date(feature.firstExposureAt),
    last_exposure_at: new Date(feature.lastExposureAt),
    experiment_id: experimentId,
  };
}

function eventJson({ event, count, values, lastEventAt }: FoundEvent) {
  return { event, count, values, last_event_at: new Date(lastEventAt) };
}
