import { Hono } from "hono";
import { listApiKeys } from "../store/api-keys.ts";
import { createApiKey, revokeApiKey } from "./api-key-edits.ts";
import type { Authentication } from "./authentication.ts";
import { KIB, parseInput, readBody } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { apiKeyJson, pageOf } from "./responses.ts";
import { apiKeyBody, pageQuery } from "./schemas.ts";

export function apiKeyRoutes(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const admin = authentication.require("admin");

  app.post("/", admin, async (c) => {
    const body = await readBody(c, 64 * KIB, apiKeyBody);
    if (!body.ok) return refuse(body.failure);
    const created = await createApiKey(deps, c.var, body.value);
    if (!created.ok) return refuse(created.failure);
    const { entry, key } = created.value;
    return c.json({ ...apiKeyJson(entry), key }, 201, { "Cache-Control": "no-store" });
  });

  app.get("/", admin, async (c) => {
    const query = parseInput(pageQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const { limit, cursor } = query.value;
    const { shown, next_cursor } = pageOf(await listApiKeys(deps.database, cursor ?? null, limit + 1), limit);
    return c.json({ api_keys: shown.map(apiKeyJson), next_cursor });
  });

  app.delete("/:id", admin, async (c) => {
    const revoked = await revokeApiKey(deps, authentication, c.var, c.req.param("id"));
    return revoked.ok ? c.body(null, 204) : refuse(revoked.failure);
  });

  return app;
}
