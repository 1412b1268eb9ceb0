import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { timingSafeEqual } from "hono/utils/buffer";
import { failed, ok, type Result } from "../result.ts";
import { type ApiKey, findApiKey } from "../store/api-keys.ts";
import { inspectApiKey, sha256Hex } from "./api-key-format.ts";
import type { AppDeps } from "../app.ts";
import { createGuard, SHUT_OUT_SECONDS } from "./failed-attempts.ts";
import { type Refusal, refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { createShortMemory } from "../ttl-cache.ts";

/** Each includes those before it. */
export type Right = "read" | "write" | "admin";
const RIGHTS: readonly Right[] = ["read", "write", "admin"];

/** Who asks, and what they may do. */
export type Caller = {
  /** For the log: the name of a token, or a key's id. */
  name: string;
  right: Right;
  /** The one environment whose experiments exist for them; null: all. */
  environmentKey: string | null;
};

const SHUT_OUT: Refusal = { kind: "shut_out", retryAfterSeconds: SHUT_OUT_SECONDS };

type FindKey = (sha256: string) => Promise<ApiKey | null>;

export type SignIn = {
  /** Lets through who has the right, as `c.var.caller`. */
  require(right: Right): MiddlewareHandler<AppEnv>;
  /** Who asks, if they have the right. A key that is not remembered is looked up by `find`. */
  identify(c: Context<AppEnv>, right: Right, find?: FindKey): Promise<Result<Caller, Refusal>>;
  /** Whoever `identify` would let in with this Authorization header without asking anyone; null: it takes that. */
  recall(authorization: string | null, right: Right): Caller | null;
  /** Who has this token, and its SHA-256, by which `recognise` knows them again. */
  signInWith(c: Context<AppEnv>, token: string): Promise<Result<{ caller: Caller; sha256: string }, Refusal>>;
  /** Whoever once signed in with the token of this SHA-256; null: it is good no longer. Not for what callers send. */
  recognise(sha256: string): Promise<Caller | null>;
  may(caller: Caller, right: Right): boolean;
  /** Who reads where reading is open to all. */
  anyone: Caller;
  /** A key is gone: remember it no longer. */
  forget(sha256: string): void;
};

type Accepted = { caller: Caller; expiresAt: number | null };

/** How long another isolate may let in a key after it was revoked. */
const REMEMBERED_MS = 30_000;
const MOST_REMEMBERED = 1_000;

const ANYONE: Caller = { name: "anyone", right: "read", environmentKey: null };

/**
 * ADMIN_TOKEN may do everything, READ_TOKEN read everything, and an API key what it was made for. A token that is not
 * set opens nothing.
 *
 * Credentials that were good are remembered for a while: so a key costs no statement most of the time, and those who
 * are in stay in while others at their address fail and fail.
 */
export function createSignIn({ settings, database, limiter, clock }: AppDeps): SignIn {
  const accepted = createShortMemory<Accepted>(REMEMBERED_MS, MOST_REMEMBERED, clock);
  // The sums of the headers that let somebody in, because to hash takes longer than all else that a hit does. A look-up
  // tells nothing about a secret: it compares characters only with a header whose hash in the Map is the same as a
  // guess's, which nobody can aim for who does not have the header. Whether the sum is still good, `accepted` says.
  const sums = createShortMemory<string>(REMEMBERED_MS, MOST_REMEMBERED, clock);
  const guard = createGuard("sign_in", limiter, clock);
  const tokens: { token: string | null; caller: Caller }[] = [
    { token: settings.adminToken, caller: { name: "ADMIN_TOKEN", right: "admin", environmentKey: null } },
    { token: settings.readToken, caller: { name: "READ_TOKEN", right: "read", environmentKey: null } },
  ];

  async function identify(
    c: Context<AppEnv>,
    right: Right,
    find: FindKey = (sha256) => findApiKey(database, sha256),
  ): Promise<Result<Caller, Refusal>> {
    if (right === "read" && settings.publicRead) return ok(ANYONE);
    const authorization = c.req.header("Authorization") ?? "";
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) return failed(unauthorized("Send Authorization: Bearer and a token.", "Bearer"));
    const sha256 = sums.get(authorization) ?? (await sha256Hex(token));
    const remembered = accepted.get(sha256);
    const known = remembered === undefined ? await check(c, token, sha256, find) : ok(remembered);
    if (!known.ok) return known;
    sums.set(authorization, sha256);
    return permit(known.value, right);
  }

  async function signInWith(
    c: Context<AppEnv>,
    token: string,
  ): Promise<Result<{ caller: Caller; sha256: string }, Refusal>> {
    const sha256 = await sha256Hex(token);
    const known = await check(c, token, sha256, (sum) => findApiKey(database, sum));
    const permitted = known.ok ? permit(known.value, "read") : known;
    return permitted.ok ? ok({ caller: permitted.value, sha256 }) : permitted;
  }

  async function recognise(sha256: string): Promise<Caller | null> {
    const remembered = accepted.get(sha256);
    const known = remembered ?? (await lookUpSum(sha256));
    if (known === null) return null;
    // From when it was looked up, not from when it was last used: else a session in use would outlive its key.
    if (remembered === undefined) accepted.set(sha256, known);
    const permitted = permit(known, "read");
    return permitted.ok ? permitted.value : null;
  }

  async function lookUpSum(sha256: string): Promise<Accepted | null> {
    for (const { token, caller } of tokens)
      if (token !== null && (await timingSafeEqual(sha256, await sha256Hex(token)))) return { caller, expiresAt: null };
    const key = await findApiKey(database, sha256);
    return key === null ? null : acceptedAs(key);
  }

  function recall(authorization: string | null, right: Right): Caller | null {
    if (right === "read" && settings.publicRead) return ANYONE;
    const sha256 = authorization === null ? undefined : sums.get(authorization);
    const known = sha256 === undefined ? undefined : accepted.get(sha256);
    const caller = known === undefined ? undefined : permit(known, right);
    return caller?.ok ? caller.value : null;
  }

  function permit({ caller, expiresAt }: Accepted, right: Right): Result<Caller, Refusal> {
    if (expiresAt !== null && expiresAt <= clock()) return failed(unknown("This key has expired."));
    return may(caller, right)
      ? ok(caller)
      : failed({
          kind: "forbidden",
          detail: right === "admin" ? "Only ADMIN_TOKEN may." : "This token may only read.",
        });
  }

  async function check(
    c: Context<AppEnv>,
    token: string,
    sha256: string,
    find: FindKey,
  ): Promise<Result<Accepted, Refusal>> {
    const { address, log } = c.var;
    if (guard.isShutOut(address)) return failed(SHUT_OUT);
    const found = await lookUp(token, sha256, find);
    if (found.ok) accepted.set(sha256, found.value);
    else if (!(await guard.fail(address, log))) return failed(SHUT_OUT);
    return found;
  }

  async function lookUp(token: string, sha256: string, find: FindKey): Promise<Result<Accepted, Refusal>> {
    for (const { token: expected, caller } of tokens) {
      // In constant time, whatever the two have in common.
      if (expected !== null && (await timingSafeEqual(token, expected))) return ok({ caller, expiresAt: null });
    }
    switch (await inspectApiKey(token)) {
      case "mistyped":
        return failed(unknown("This key is mistyped: its checksum does not fit. Copy it once more."));
      case "none":
        return failed(unknown("This token is not known here."));
      case "well_formed": {
        const key = await find(sha256);
        if (key === null) return failed(unknown("This key is not known here, or has been revoked."));
        return ok(acceptedAs(key));
      }
    }
  }

  return {
    require: (right) =>
      createMiddleware<AppEnv>(async (c, next) => {
        const caller = await identify(c, right);
        if (!caller.ok) return refuse(caller.failure);
        c.set("caller", caller.value);
        return next();
      }),
    identify,
    recall,
    signInWith,
    recognise,
    may,
    anyone: ANYONE,
    forget: (sha256) => accepted.delete(sha256),
  };
}

function may(caller: Caller, right: Right): boolean {
  return RIGHTS.indexOf(caller.right) >= RIGHTS.indexOf(right);
}

function acceptedAs({ id, role, environmentKey, expiresAt }: ApiKey): Accepted {
  return { caller: { name: id, right: role, environmentKey }, expiresAt };
}

function unauthorized(detail: string, challenge: string): Refusal {
  return { kind: "unauthorized", detail, challenge };
}

function unknown(detail: string): Refusal {
  return unauthorized(detail, 'Bearer error="invalid_token"');
}
