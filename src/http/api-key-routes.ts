import { Hono } from "hono";
import { type ApiKey, addApiKey, deleteApiKey, listApiKeys } from "../store/api-keys.ts";
import { apiKeyId, generateApiKey, sha256Hex } from "./api-key-format.ts";
import type { Authentication } from "./authentication.ts";
import { KIB, parseInput, readBody } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { apiKeyJson, pageOf } from "./responses.ts";
import { apiKeyBody, pageQuery } from "./schemas.ts";

export function apiKeyRoutes({ database, clock }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const admin = authentication.require("admin");

  app.post("/", admin, async (c) => {
    const now = clock();
    const body = await readBody(c, 64 * KIB, apiKeyBody);
    if (!body.ok) return refuse(body.failure);
    const { name, environment_key: environmentKey, role, expires_at: expiresAt } = body.value;
    if (expiresAt !== null && expiresAt <= now) {
      return refuse({ kind: "invalid_input", errors: [{ path: "expires_at", message: "must be in the future" }] });
    }
    const key = await generateApiKey();
    const sha256 = await sha256Hex(key);
    const entry: ApiKey = { id: apiKeyId(sha256), name, environmentKey, role, createdAt: now, expiresAt };
    await addApiKey(database, entry, sha256);
    c.var.log("info", "api_key.created", { api_key_id: entry.id, role, environment_key: environmentKey });
    return c.json({ ...apiKeyJson(entry), key }, 201, { "Cache-Control": "no-store" });
  });

  app.get("/", admin, async (c) => {
    const query = parseInput(pageQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const { limit, cursor } = query.value;
    const { shown, next_cursor } = pageOf(await listApiKeys(database, cursor ?? null, limit + 1), limit);
    return c.json({ api_keys: shown.map(apiKeyJson), next_cursor });
  });

  app.delete("/:id", admin, async (c) => {
    const id = c.req.param("id");
    const sha256 = await deleteApiKey(database, id);
    if (sha256 === null) return refuse({ kind: "not_found" });
    authentication.forgetKey(sha256);
    c.var.log("info", "api_key.revoked", { api_key_id: id });
    return c.body(null, 204);
  });

  return app;
}
