import { Hono } from "hono";
import type { Authentication } from "../http/authentication.ts";
import type { AppDeps } from "../http/deps.ts";
import type { AppEnv } from "../http/request-context.ts";
import { assetRoutes } from "./asset-routes.ts";
import { downloadRoutes } from "./download-routes.ts";
import { experimentPageRoutes } from "./experiment-page-routes.ts";
import { formRoutes } from "./form-routes.ts";
import { sameOriginForms } from "./forms.ts";
import { listRoutes } from "./list-routes.ts";
import { sessionRoutes } from "./session-routes.ts";
import { createVisitors } from "./visitors.ts";

/** The panel: its pages, and the downloads that they link to. */
export function panelRoutes(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const visitors = createVisitors(deps, authentication);
  const app = new Hono<AppEnv>();
  for (const path of ["/login", "/logout", "/new", "/experiments/*", "/api-keys/*"]) app.use(path, sameOriginForms);
  return app
    .route("/", assetRoutes())
    .route("/", sessionRoutes(authentication, visitors))
    .route("/", listRoutes(deps, visitors))
    .route("/", experimentPageRoutes(deps, visitors))
    .route("/", formRoutes(deps, authentication, visitors))
    .route("/", downloadRoutes(deps, authentication, visitors));
}
