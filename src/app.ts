import { type Context, Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { createApi } from "./http/api.ts";
import { createAuthentication } from "./http/authentication.ts";
import { discardUnreadBody } from "./http/body.ts";
import { allowReadsFrom } from "./http/cors.ts";
import type { AppDeps } from "./http/deps.ts";
import { loadOpenApi } from "./http/openapi.ts";
import { refuse } from "./http/problem.ts";
import { createReadiness } from "./http/readiness.ts";
import { type AppEnv, traceRequests } from "./http/request-context.ts";
import { describeBug } from "./log.ts";
import { panelRoutes } from "./panel/routes.ts";
import { type DatabaseFailure, DatabaseUnavailable } from "./store/database.ts";

/** The log events of requests that the database failed. */
const UNAVAILABLE: Record<DatabaseFailure, string> = {
  not_migrated: "database.not_migrated",
  full: "database.full",
  outage: "database.unavailable",
};

/** Composes the API and the panel, on any runtime. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const { corsOrigins, publicUrl } = deps.settings;
  const authentication = createAuthentication(deps);
  const api = createApi(deps, authentication);
  const readiness = createReadiness(deps);

  app.use(traceRequests(deps.log, deps.settings));
  app.use(discardUnreadBody);
  if (corsOrigins.length > 0) app.use(allowReadsFrom(corsOrigins));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (_, methods) => refuse({ kind: "method_not_allowed", allow: methods.join(", ") }),
    }),
  );
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    const isReady = await readiness.check((failure) => logFailure(c, UNAVAILABLE[failure.reason], failure));
    return isReady ? c.json({ status: "ready" }) : refuse({ kind: "not_ready" });
  });
  app.get("/openapi.json", async (c) => c.json(await loadOpenApi(publicUrl)));
  app.route("/", panelRoutes(deps, authentication));
  app.route("/", api.routes);

  app.notFound(() => refuse({ kind: "not_found" }));
  app.onError((error, c) => {
    if (!(error instanceof DatabaseUnavailable)) {
      logFailure(c, "request.failed", error);
      return refuse({ kind: "bug" });
    }
    readiness.observe(error);
    logFailure(c, UNAVAILABLE[error.reason], error);
    return refuse({ kind: "unavailable" });
  });

  // The fast path sets no CORS headers.
  if (corsOrigins.length > 0) return app;
  const { fetch } = app;
  app.fetch = (request, ...rest) => api.fastPath(request) ?? fetch(request, ...rest);
  return app;
}

function logFailure(c: Context<AppEnv>, event: string, error: Error): void {
  c.var.log("error", event, { method: c.req.method, path: c.req.routePath, error: describeBug(error) });
}
