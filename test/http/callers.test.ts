import { createHash } from "node:crypto";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { generateApiKey } from "../../src/http/api-key-format.ts";
import { createAuthentication } from "../../src/http/authentication.ts";
import type { Right } from "../../src/http/caller.ts";
import { type AppEnv, traceRequests } from "../../src/http/request-context.ts";
import type { ApiKey } from "../../src/store/api-keys.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";

// The exact result of `authenticate`: the caller for the routes and the log, or the refusal.

const NOW = Date.UTC(2026, 5, 1);
const BOTH_TOKENS = { ADMIN_TOKEN: "admin-token", READ_TOKEN: "read-token" };

/** The result of `authenticate`. Only the API keys in `keys` exist. */
async function authenticate(env: object, right: Right, authorization?: string, keys: Record<string, ApiKey> = {}) {
  const authentication = createAuthentication(appDeps(env, emptyDatabase, { clock: () => NOW }));
  const bySha256 = new Map(
    Object.entries(keys).map(([key, entry]) => [createHash("sha256").update(key).digest("hex"), entry]),
  );
  const app = new Hono<AppEnv>();
  app.use(traceRequests(() => undefined, { clientAddressHeader: null, publicUrl: null }));
  app.get("/", async (c) =>
    c.json(await authentication.authenticate(c, right, async (sha256) => bySha256.get(sha256) ?? null)),
  );
  const headers = authorization === undefined ? {} : { Authorization: authorization };
  return (await app.request("/", { headers }, {})).json();
}

const entry: ApiKey = {
  id: "0123456789abcdef",
  name: "CI",
  environmentKey: null,
  role: "read",
  createdAt: 0,
  expiresAt: null,
};

describe("authenticate", () => {
  it("gives ADMIN_TOKEN every right", async () => {
    for (const right of ["read", "write", "admin"] as const) {
      const value = { name: "ADMIN_TOKEN", right: "admin", environmentKey: null };
      expect(await authenticate(BOTH_TOKENS, right, "Bearer admin-token")).toEqual({ ok: true, value });
    }
  });

  it("gives READ_TOKEN the right read", async () => {
    const value = { name: "READ_TOKEN", right: "read", environmentKey: null };
    expect(await authenticate(BOTH_TOKENS, "read", "Bearer read-token")).toEqual({ ok: true, value });
  });

  it.each([
    { role: "read", environmentKey: null },
    { role: "read", environmentKey: "env" },
    { role: "write", environmentKey: "env" },
  ] as const)(
    "identifies an API key with the role $role and the environment $environmentKey by its id",
    async (part) => {
      const key = await generateApiKey();
      const value = { name: entry.id, right: part.role, environmentKey: part.environmentKey };
      for (const right of part.role === "write" ? (["read", "write"] as const) : (["read"] as const))
        expect(await authenticate(BOTH_TOKENS, right, `Bearer ${key}`, { [key]: { ...entry, ...part } })).toEqual({
          ok: true,
          value,
        });
    },
  );

  it.each([undefined, "Bearer admin-token", "Bearer wrong", "Basic x"])(
    "lets anyone read with PUBLIC_READ, with Authorization: %s",
    async (authorization) => {
      const value = { name: "anyone", right: "read", environmentKey: null };
      expect(await authenticate({ ...BOTH_TOKENS, PUBLIC_READ: true }, "read", authorization)).toEqual({
        ok: true,
        value,
      });
    },
  );

  it.each(["Bearer  admin-token", "Bearer     admin-token", "bearer admin-token", "BEARER admin-token"])(
    "accepts the header %j",
    async (authorization) => {
      expect(await authenticate(BOTH_TOKENS, "admin", authorization)).toMatchObject({ value: { name: "ADMIN_TOKEN" } });
    },
  );
});

describe("authenticate without a token", () => {
  const failure = { kind: "unauthorized", detail: "Send a token: Authorization: Bearer TOKEN.", challenge: "Bearer" };

  it.each([
    undefined,
    "",
    "Bearer",
    "admin-token",
    "Beareradmin-token",
    "Basic admin-token",
    "XBearer admin-token",
    "Basic x Bearer admin-token",
    "Bearer admin-token read-token",
  ])("asks for one, without an error in the challenge: %j", async (authorization) => {
    expect(await authenticate(BOTH_TOKENS, "read", authorization)).toEqual({ ok: false, failure });
  });

  it.each(["write", "admin"] as const)("requires one for the right %s, even with PUBLIC_READ", async (right) => {
    expect(await authenticate({ ...BOTH_TOKENS, PUBLIC_READ: true }, right)).toEqual({ ok: false, failure });
  });
});

describe("authenticate with an invalid token", () => {
  const refusalOf = async (token: string, keys?: Record<string, ApiKey>) => {
    const { ok, failure } = await authenticate(BOTH_TOKENS, "read", `Bearer ${token}`, keys);
    expect(ok).toBe(false);
    expect(failure).toEqual({
      kind: "unauthorized",
      detail: expect.any(String),
      challenge: 'Bearer error="invalid_token"',
    });
    return failure.detail;
  };

  it("states whether the token is mistyped, unknown, revoked or expired", async () => {
    const key = await generateApiKey();
    expect(await refusalOf("wrong")).toMatch(/^This token is unknown\. Check it, or ask for a new one\.$/);
    expect(await refusalOf(`${key.slice(0, -1)}g`)).toMatch(/mistyped: its checksum does not match/);
    expect(await refusalOf(key)).toMatch(/^This key is unknown or has been revoked\. Ask for a new one\.$/);
    expect(await refusalOf(key, { [key]: { ...entry, expiresAt: NOW } })).toMatch(
      /^This key has expired\. Ask for a new one\.$/,
    );
  });

  it("rejects the name of a setting that is not set", async () => {
    for (const token of ["null", "undefined", "READ_TOKEN", "ADMIN_TOKEN"])
      expect(await authenticate({}, "read", `Bearer ${token}`)).toMatchObject({ ok: false });
  });
});

describe("authenticate without the right", () => {
  const forbidden = (detail: string) => ({ ok: false, failure: { kind: "forbidden", detail } });
  const READ_ONLY = forbidden("This token is read-only. Use ADMIN_TOKEN or a key with the role write.");
  const ADMIN_ONLY = forbidden("This call needs ADMIN_TOKEN.");

  it("states that the token is read-only, or that the call needs ADMIN_TOKEN", async () => {
    expect(await authenticate(BOTH_TOKENS, "write", "Bearer read-token")).toEqual(READ_ONLY);
    expect(await authenticate(BOTH_TOKENS, "admin", "Bearer read-token")).toEqual(ADMIN_ONLY);
    const key = await generateApiKey();
    for (const role of ["read", "write"] as const)
      expect(await authenticate(BOTH_TOKENS, "admin", `Bearer ${key}`, { [key]: { ...entry, role } })).toEqual(
        ADMIN_ONLY,
      );
    expect(await authenticate(BOTH_TOKENS, "write", `Bearer ${key}`, { [key]: entry })).toEqual(READ_ONLY);
  });
});
