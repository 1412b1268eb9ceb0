import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { createApi } from "./http/api.ts";
import { createAuthentication } from "./http/authentication.ts";
import { allowReadsFrom } from "./http/cors.ts";
import type { AppDeps } from "./http/deps.ts";
import type { JsonObject } from "./http/openapi-parts.ts";
import { refuse } from "./http/problem.ts";
import { type AppEnv, traceRequests } from "./http/request-context.ts";
import { describeBug } from "./log.ts";
import { panelRoutes } from "./panel/routes.ts";
import { DatabaseUnavailable } from "./store/database.ts";

/** Composes the API and the panel, on any runtime. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const { corsOrigins, clientAddressHeader } = deps.settings;
  const authentication = createAuthentication(deps);
  const api = createApi(deps, authentication);

  app.use(traceRequests(deps.log, clientAddressHeader));
  if (corsOrigins.length > 0) app.use(allowReadsFrom(corsOrigins));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (_, methods) => refuse({ kind: "method_not_allowed", allow: methods.join(", ") }),
    }),
  );
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/openapi.json", async (c) => c.json(await loadOpenApi()));
  app.route("/", panelRoutes(deps, authentication, loadOpenApi));
  app.route("/", api.routes);

  app.notFound(() => refuse({ kind: "not_found" }));
  app.onError((error, c) => {
    const isUnavailable = error instanceof DatabaseUnavailable;
    c.var.log("error", isUnavailable ? "database.unavailable" : "request.failed", {
      method: c.req.method,
      path: c.req.routePath,
      error: describeBug(error),
    });
    return refuse({ kind: isUnavailable ? "unavailable" : "bug" });
  });

  // The fast path sets no CORS headers.
  if (corsOrigins.length > 0) return app;
  const { fetch } = app;
  app.fetch = (request, ...rest) => api.fastPath(request) ?? fetch(request, ...rest);
  return app;
}

/** Loads the OpenAPI document on demand, because generating its schemas would slow down the start of an isolate. */
async function loadOpenApi(): Promise<JsonObject> {
  const [{ openApiDocument }, { downloadPaths }] = await Promise.all([
    import("./http/openapi.ts"),
    import("./panel/download-openapi.ts"),
  ]);
  return openApiDocument(downloadPaths);
}
