import { Hono } from "hono";
import type { Authentication } from "../http/authentication.ts";
import type { AppDeps } from "../http/deps.ts";
import type { AppEnv } from "../http/request-context.ts";
import type { Visitors } from "./visitors.ts";

/**
 * The forms of experiments and API keys, and the page of the warehouse. Their code is evaluated on demand, because few
 * requests need it.
 */
export function formRoutes(deps: AppDeps, authentication: Authentication, visitors: Visitors): Hono<AppEnv> {
  const forms = async () => (await import("./experiment-form-handlers.ts")).createExperimentForms(deps, visitors);
  const keys = async () => (await import("./api-key-handlers.ts")).createApiKeyPages(deps, authentication, visitors);
  return new Hono<AppEnv>()
    .get("/warehouse", async (c) => (await import("./warehouse-page.ts")).showWarehouse(deps, visitors, c))
    .get("/new", async (c) => (await forms()).showNew(c))
    .post("/new", async (c) => (await forms()).create(c))
    .get("/experiments/:id/edit", async (c) => (await forms()).showEdit(c))
    .post("/experiments/:id/edit", async (c) => (await forms()).edit(c))
    .post("/experiments/:id/start", async (c) => (await forms()).start(c))
    .post("/experiments/:id/end", async (c) => (await forms()).end(c))
    .post("/experiments/:id/delete", async (c) => (await forms()).remove(c))
    .get("/api-keys", async (c) => (await keys()).show(c))
    .post("/api-keys", async (c) => (await keys()).create(c))
    .post("/api-keys/:id/revoke", async (c) => (await keys()).revoke(c));
}
