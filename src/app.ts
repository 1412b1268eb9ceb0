import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { describeBug, type Log } from "./log.ts";
import { downloadRoutes } from "./panel/download-routes.ts";
import { panelRoutes } from "./panel/routes.ts";
import type { Coordinators } from "./refresh/coordinator-types.ts";
import type { Settings } from "./settings.ts";
import { type Database, DatabaseUnavailable } from "./store/database.ts";
import type { Warehouse } from "./warehouse/client.ts";
import { apiKeyRoutes } from "./http/api-key-routes.ts";
import { backupRoutes } from "./http/backup-routes.ts";
import { allowReadsFrom } from "./http/cors.ts";
import { experimentRoutes } from "./http/experiment-routes.ts";
import { createExposures } from "./http/exposure-routes.ts";
import type { Limiter } from "./http/failed-attempts.ts";
import { openApiDocument } from "./http/openapi.ts";
import { refuse } from "./http/problem.ts";
import { type AppEnv, traceRequests } from "./http/request-context.ts";
import { createSignIn } from "./http/authentication.ts";
import { statesRoutes } from "./http/rebuild-route.ts";
import { warehouseRoutes } from "./http/warehouse-routes.ts";
import { webhookRoutes } from "./http/webhook-routes.ts";

/** Everything the app needs of the world. */
export type AppDeps = {
  settings: Settings;
  database: Database;
  warehouse: Warehouse;
  coordinators: Coordinators;
  /** Of failed attempts, by address. */
  limiter: Limiter;
  clock: () => number;
  log: Log;
};

/** The HTTP interface, on any runtime. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const signIn = createSignIn(deps);
  const { corsOrigins, clientAddressHeader } = deps.settings;
  const exposures = createExposures(deps, signIn);
  app.use(traceRequests(deps.log, clientAddressHeader));
  if (corsOrigins.length > 0) app.use(allowReadsFrom(corsOrigins));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (_, methods) => refuse({ kind: "method_not_allowed", allow: methods.join(", ") }),
    }),
  );
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/openapi.json", (c) => c.json(openApiDocument));
  app.route("/", panelRoutes(deps, signIn));
  app.route("/v1/experiments", exposures.routes);
  app.route("/v1/experiments", downloadRoutes(deps, signIn));
  app.route("/v1/experiments", statesRoutes(deps, signIn));
  app.route("/v1/experiments", experimentRoutes(deps, signIn));
  app.route("/v1/api-keys", apiKeyRoutes(deps, signIn));
  app.route("/v1", backupRoutes(deps, signIn));
  app.route("/v1/warehouse", warehouseRoutes(deps, signIn));
  app.route("/webhooks", webhookRoutes(deps));

  app.notFound(() => refuse({ kind: "not_found" }));
  app.onError((error, c) => {
    const unavailable = error instanceof DatabaseUnavailable;
    c.var.log("error", unavailable ? "database.unavailable" : "request.failed", {
      method: c.req.method,
      path: c.req.routePath,
      error: describeBug(error),
    });
    return refuse({ kind: unavailable ? "unavailable" : "bug" });
  });

  // Only the long way knows what pages of other origins must be told.
  if (corsOrigins.length > 0) return app;
  const { fetch } = app;
  app.fetch = (request, ...rest) => exposures.shortWay(request) ?? fetch(request, ...rest);
  return app;
}
