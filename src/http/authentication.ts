import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { failed, ok, type Result } from "../result.ts";
import { findApiKey } from "../store/api-keys.ts";
import { createTtlCache } from "../ttl-cache.ts";
import { apiKeyId, sha256Hex } from "./api-key-format.ts";
import { ANYONE, type Caller, hasRight, type Right } from "./caller.ts";
import { type Credential, createCredentials, type FindKey, invalidToken, unauthorized } from "./credentials.ts";
import type { AppDeps } from "./deps.ts";
import { BLOCK_SECONDS, createFailedAttempts } from "./failed-attempts.ts";
import { type Refusal, refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";

export type Authentication = {
  /** Middleware that lets callers with the right pass, and sets `c.var.caller`. */
  require(right: Right): MiddlewareHandler<AppEnv>;
  /** Authenticates the request's Authorization header. An API key that is not cached is looked up by `find`. */
  authenticate(c: Context<AppEnv>, right: Right, find?: FindKey): Promise<Result<Caller, Refusal>>;
  /** The caller with this Authorization header, if its credential is cached; null: use `authenticate`. */
  cachedCaller(authorization: string | null, right: Right): Caller | null;
  /** Authenticates a token from a form. */
  signIn(c: Context<AppEnv>, token: string): Promise<Result<Caller, Refusal>>;
  /** The credential with this name in `Caller`; null if it is no longer valid. Pass only names that this service signed. */
  credentialNamed(name: string): Promise<Credential | null>;
  /** Drops a revoked key from the cache. */
  forgetKey(sha256: string): void;
};

/** The longest time for which another isolate still accepts a revoked key. */
const CACHE_MS = 30_000;
const MAX_CACHED = 1_000;

const BLOCKED: Refusal = { kind: "too_many_attempts", retryAfterSeconds: BLOCK_SECONDS };

/**
 * Authenticates callers by token, API key or session. Valid credentials are cached: most requests with a key need no
 * statement.
 */
export function createAuthentication({ settings, database, limiter, clock }: AppDeps): Authentication {
  const credentials = createCredentials(settings, database);
  const credentialCache = createTtlCache<Credential>(CACHE_MS, MAX_CACHED, clock);
  /** The hashes of keys that are well-formed but unknown. */
  const unknownKeys = createTtlCache<true>(CACHE_MS, MAX_CACHED, clock);
  /** For sessions and share links, which refer to a credential by its name. */
  const credentialsByName = createTtlCache<Credential>(CACHE_MS, MAX_CACHED, clock);
  // Hashes of headers that authenticated before, because hashing takes longer than the rest of a cache hit. The lookup
  // reveals nothing of a secret: a Map compares characters only between keys whose internal hashes are equal, and no
  // client can aim for that. Whether the token is still valid is up to credentialCache.
  const hashByHeader = createTtlCache<string>(CACHE_MS, MAX_CACHED, clock);
  const failedAttempts = createFailedAttempts("sign_in", limiter, clock);

  async function authenticate(c: Context<AppEnv>, right: Right, find?: FindKey): Promise<Result<Caller, Refusal>> {
    if (right === "read" && settings.publicRead) return ok(ANYONE);
    const authorization = c.req.header("Authorization") ?? "";
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) return failed(unauthorized("Send a token: Authorization: Bearer TOKEN.", "Bearer"));
    const sha256 = hashByHeader.get(authorization) ?? (await sha256Hex(token));
    const cached = credentialCache.get(sha256);
    const credential = cached === undefined ? await check(c, token, sha256, find) : ok(cached);
    if (!credential.ok) return credential;
    hashByHeader.set(authorization, sha256);
    return permit(credential.value, right);
  }

  function cachedCaller(authorization: string | null, right: Right): Caller | null {
    if (right === "read" && settings.publicRead) return ANYONE;
    const sha256 = authorization === null ? undefined : hashByHeader.get(authorization);
    const credential = sha256 === undefined ? undefined : credentialCache.get(sha256);
    const caller = credential === undefined ? undefined : permit(credential, right);
    return caller?.ok ? caller.value : null;
  }

  async function signIn(c: Context<AppEnv>, token: string): Promise<Result<Caller, Refusal>> {
    const credential = await check(c, token, await sha256Hex(token));
    return credential.ok ? permit(credential.value, "read") : credential;
  }

  async function credentialNamed(name: string): Promise<Credential | null> {
    const cached = credentialsByName.get(name);
    const credential = cached ?? (await credentials.byName(name));
    if (credential === null) return null;
    // The TTL runs from the lookup, not from the last use: otherwise a session in use would outlive its key.
    if (cached === undefined) credentialsByName.set(name, credential);
    return permit(credential, "read").ok ? credential : null;
  }

  /**
   * Looks up a token. A failure counts against its address. A valid credential passes even from a blocked address, which
   * it may share with others.
   */
  async function check(
    c: Context<AppEnv>,
    token: string,
    sha256: string,
    find: FindKey = (hash) => findApiKey(database, hash),
  ): Promise<Result<Credential, Refusal>> {
    const { address, log } = c.var;
    const credential = await credentials.byToken(token, sha256, async (hash) => {
      if (unknownKeys.get(hash) !== undefined || !failedAttempts.mayLookUp(address)) return null;
      const key = await find(hash);
      if (key === null) unknownKeys.set(hash, true);
      return key;
    });
    if (credential.ok) credentialCache.set(sha256, credential.value);
    else if (!(await failedAttempts.record(address, log))) return failed(BLOCKED);
    return credential;
  }

  function permit({ caller, expiresAt }: Credential, right: Right): Result<Caller, Refusal> {
    if (expiresAt !== null && expiresAt <= clock())
      return failed(invalidToken("This key has expired. Ask for a new one."));
    if (hasRight(caller, right)) return ok(caller);
    const detail =
      right === "admin"
        ? "This call needs ADMIN_TOKEN."
        : "This token is read-only. Use ADMIN_TOKEN or a key with the role write.";
    return failed({ kind: "forbidden", detail });
  }

  return {
    require: (right) =>
      createMiddleware<AppEnv>(async (c, next) => {
        const caller = await authenticate(c, right);
        if (!caller.ok) return refuse(caller.failure);
        c.set("caller", caller.value);
        return next();
      }),
    authenticate,
    cachedCaller,
    signIn,
    credentialNamed,
    forgetKey(sha256) {
      credentialCache.delete(sha256);
      credentialsByName.delete(apiKeyId(sha256));
    },
  };
}
