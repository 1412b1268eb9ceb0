import { createHash } from "node:crypto";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { generateApiKey } from "../../src/http/api-key-format.ts";
import { createAuthentication } from "../../src/http/authentication.ts";
import type { Right } from "../../src/http/caller.ts";
import { type AppEnv, traceRequests } from "../../src/http/request-context.ts";
import type { ApiKey } from "../../src/store/api-keys.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";

// Who a request is from, to the last word: what the routes, the log and whoever is refused go by.

const NOW = Date.UTC(2026, 5, 1);
const BOTH = { ADMIN_TOKEN: "of-admin", READ_TOKEN: "of-reader" };

/** What signing in gives. Of keys it knows those that are given. */
async function identify(env: object, right: Right, authorization?: string, keys: Record<string, ApiKey> = {}) {
  const signIn = createAuthentication(appDeps(env, emptyDatabase, { clock: () => NOW }));
  const bySha256 = new Map(
    Object.entries(keys).map(([key, entry]) => [createHash("sha256").update(key).digest("hex"), entry]),
  );
  const app = new Hono<AppEnv>();
  app.use(traceRequests(() => undefined, null));
  app.get("/", async (c) =>
    c.json(await signIn.authenticate(c, right, async (sha256) => bySha256.get(sha256) ?? null)),
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

describe("who asks", () => {
  it("is ADMIN_TOKEN, who may do everything", async () => {
    for (const right of ["read", "write", "admin"] as const) {
      const value = { name: "ADMIN_TOKEN", right: "admin", environmentKey: null };
      expect(await identify(BOTH, right, "Bearer of-admin")).toEqual({ ok: true, value });
    }
  });

  it("is READ_TOKEN, who may read", async () => {
    const value = { name: "READ_TOKEN", right: "read", environmentKey: null };
    expect(await identify(BOTH, "read", "Bearer of-reader")).toEqual({ ok: true, value });
  });

  it.each([
    { role: "read", environmentKey: null },
    { role: "read", environmentKey: "env" },
    { role: "write", environmentKey: "env" },
  ] as const)("is a key, by its id, who may $role in $environmentKey", async (part) => {
    const key = await generateApiKey();
    const value = { name: entry.id, right: part.role, environmentKey: part.environmentKey };
    for (const right of part.role === "write" ? (["read", "write"] as const) : (["read"] as const))
      expect(await identify(BOTH, right, `Bearer ${key}`, { [key]: { ...entry, ...part } })).toEqual({
        ok: true,
        value,
      });
  });

  it.each([undefined, "Bearer of-admin", "Bearer wrong", "Basic x"])(
    "is anyone where reading is public, with Authorization: %s",
    async (authorization) => {
      const value = { name: "anyone", right: "read", environmentKey: null };
      expect(await identify({ ...BOTH, PUBLIC_READ: true }, "read", authorization)).toEqual({ ok: true, value });
    },
  );

  it.each(["Bearer  of-admin", "Bearer     of-admin", "bearer of-admin", "BEARER of-admin"])(
    "may write it as %j",
    async (authorization) => {
      expect(await identify(BOTH, "admin", authorization)).toMatchObject({ value: { name: "ADMIN_TOKEN" } });
    },
  );
});

describe("who asks without a token", () => {
  const failure = { kind: "unauthorized", detail: "Send Authorization: Bearer and a token.", challenge: "Bearer" };

  it.each([
    undefined,
    "",
    "Bearer",
    "of-admin",
    "Bearerof-admin",
    "Basic of-admin",
    "XBearer of-admin",
    "Basic x Bearer of-admin",
    "Bearer of-admin of-reader",
  ])("is told to send one, and not of an error: %j", async (authorization) => {
    expect(await identify(BOTH, "read", authorization)).toEqual({ ok: false, failure });
  });

  it.each(["write", "admin"] as const)("may not %s where reading is public", async (right) => {
    expect(await identify({ ...BOTH, PUBLIC_READ: true }, right)).toEqual({ ok: false, failure });
  });
});

describe("who asks in vain", () => {
  const refusalOf = async (token: string, keys?: Record<string, ApiKey>) => {
    const { ok, failure } = await identify(BOTH, "read", `Bearer ${token}`, keys);
    expect(ok).toBe(false);
    expect(failure).toEqual({
      kind: "unauthorized",
      detail: expect.any(String),
      challenge: 'Bearer error="invalid_token"',
    });
    return failure.detail;
  };

  it("is told whether the token is mistyped, unknown, revoked or expired", async () => {
    const key = await generateApiKey();
    expect(await refusalOf("wrong")).toMatch(/^This token is not known here\.$/);
    expect(await refusalOf(`${key.slice(0, -1)}g`)).toMatch(/mistyped: its checksum does not fit/);
    expect(await refusalOf(key)).toMatch(/^This key is not known here, or has been revoked\.$/);
    expect(await refusalOf(key, { [key]: { ...entry, expiresAt: NOW } })).toMatch(/^This key has expired\.$/);
  });

  it("is not let in by the name of a setting that is empty", async () => {
    for (const token of ["null", "undefined", "READ_TOKEN", "ADMIN_TOKEN"])
      expect(await identify({}, "read", `Bearer ${token}`)).toMatchObject({ ok: false });
  });
});

describe("who may not", () => {
  const forbidden = (detail: string) => ({ ok: false, failure: { kind: "forbidden", detail } });
  const READS_ONLY = forbidden("This token may only read.");
  const ADMIN_ONLY = forbidden("Only ADMIN_TOKEN may.");

  it("is told that reading is all, or that only ADMIN_TOKEN may", async () => {
    expect(await identify(BOTH, "write", "Bearer of-reader")).toEqual(READS_ONLY);
    expect(await identify(BOTH, "admin", "Bearer of-reader")).toEqual(ADMIN_ONLY);
    const key = await generateApiKey();
    for (const role of ["read", "write"] as const)
      expect(await identify(BOTH, "admin", `Bearer ${key}`, { [key]: { ...entry, role } })).toEqual(ADMIN_ONLY);
    expect(await identify(BOTH, "write", `Bearer ${key}`, { [key]: entry })).toEqual(READS_ONLY);
  });
});
