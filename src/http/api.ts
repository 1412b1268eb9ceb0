import { Hono } from "hono";
import { alertRoutes } from "./alert-routes.ts";
import { apiKeyRoutes } from "./api-key-routes.ts";
import type { Authentication } from "./authentication.ts";
import { backupRoutes } from "./backup-routes.ts";
import type { AppDeps } from "./deps.ts";
import { experimentRoutes } from "./experiment-routes.ts";
import { createExposureRoutes } from "./exposure-routes.ts";
import { flagsmithRoutes } from "./flagsmith-routes.ts";
import { rebuildRoute } from "./rebuild-route.ts";
import type { AppEnv } from "./request-context.ts";
import { statusRoute } from "./status-route.ts";
import { warehouseRoutes } from "./warehouse-routes.ts";
import { webhookRoutes } from "./webhook-routes.ts";

/** The JSON API: all its routes, and the fast path of the most frequent request. */
export function createApi(deps: AppDeps, authentication: Authentication) {
  const exposures = createExposureRoutes(deps, authentication);
  const experiments = new Hono<AppEnv>()
    .route("/", exposures.routes)
    .route("/", rebuildRoute(deps, authentication))
    .route("/", experimentRoutes(deps, authentication));
  const routes = new Hono<AppEnv>()
    .route("/v1/experiments", experiments)
    .route("/v1/alerts", alertRoutes(deps, authentication))
    .route("/v1/api-keys", apiKeyRoutes(deps, authentication))
    .route("/v1", backupRoutes(deps, authentication))
    .route("/v1", statusRoute(deps, authentication))
    .route("/v1/warehouse", warehouseRoutes(deps, authentication))
    .route("/v1/flagsmith", flagsmithRoutes(deps, authentication))
    .route("/webhooks", webhookRoutes(deps));
  return { routes, fastPath: exposures.fastPath };
}
