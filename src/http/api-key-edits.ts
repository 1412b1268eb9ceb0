import type * as z from "zod/mini";
import { failed, ok, type Result } from "../result.ts";
import { type ApiKey, addApiKey, deleteApiKey } from "../store/api-keys.ts";
import { apiKeyId, generateApiKey, sha256Hex } from "./api-key-format.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import type { Refusal } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import type { apiKeyBody } from "./schemas.ts";

// The changes to API keys that both the API and the panel make.

type Request = Pick<AppEnv["Variables"], "log">;

/** Creates a key. It is returned once; only its hash is stored. */
export async function createApiKey(
  { database, clock }: Pick<AppDeps, "database" | "clock">,
  { log }: Request,
  body: z.output<typeof apiKeyBody>,
): Promise<Result<{ entry: ApiKey; key: string }, Refusal>> {
  const now = clock();
  const { name, environment_key: environmentKey, role, expires_at: expiresAt } = body;
  if (expiresAt !== null && expiresAt <= now)
    return failed({ kind: "invalid_input", errors: [{ path: "expires_at", message: "must be in the future" }] });
  const key = await generateApiKey();
  const sha256 = await sha256Hex(key);
  const entry: ApiKey = { id: apiKeyId(sha256), name, environmentKey, role, createdAt: now, expiresAt };
  await addApiKey(database, entry, sha256);
  log("info", "api_key.created", { api_key_id: entry.id, role, environment_key: environmentKey });
  return ok({ entry, key });
}

export async function revokeApiKey(
  { database }: Pick<AppDeps, "database">,
  authentication: Pick<Authentication, "forgetKey">,
  { log }: Request,
  id: string,
): Promise<Result<null, Refusal>> {
  const sha256 = await deleteApiKey(database, id);
  if (sha256 === null) return failed({ kind: "not_found" });
  authentication.forgetKey(sha256);
  log("info", "api_key.revoked", { api_key_id: id });
  return ok(null);
}
