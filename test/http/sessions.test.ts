import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { migrate } from "../../src/store/migrations.ts";
import { appDeps } from "../support/app-deps.ts";
import { cookieOf } from "../support/visitor.ts";

// Sessions over time, in several isolates on one database.

const HOUR = 3_600_000;
let sqlite: ReturnType<typeof openSqlite>;
let now: number;
beforeEach(async () => {
  sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = Date.UTC(2026, 5, 1);
});

function startIsolate(vars: Record<string, string> = {}) {
  const env = { ADMIN_TOKEN: "admin", READ_TOKEN: "reader", SESSION_SECRET: "secret", ...vars };
  const app = createApp(appDeps(env, sqlite, { clock: () => now }));
  const request = async (url: string, init: RequestInit) => app.request(url, init, { address: "192.0.2.1" });
  const api = async (method: string, path: string, body: object = {}) => {
    const headers = { Authorization: "Bearer admin", "Content-Type": "application/json" };
    return request(path, {
      method,
      headers,
      ...(method === "POST" || method === "PUT" ? { body: JSON.stringify(body) } : {}),
    });
  };
  const signIn = async (token: string, origin = "http://localhost") => {
    const body = new URLSearchParams({ token });
    const response = await request(`${origin}/login`, { method: "POST", body, headers: { Origin: origin } });
    expect(response.status).toBe(303);
    return { status: response.status, headers: response.headers, text: "" };
  };
  const signOut = (cookie: string) => request("/logout", { method: "POST", headers: { Cookie: cookie } });
  const isSignedIn = async (cookie: string) => (await request("/", { headers: { Cookie: cookie } })).status === 200;
  const statusOf = async (path: string) => (await request(path, {})).status;
  /** Creates a link to a page. Returns its path, or the status of the refusal. */
  const share = async (cookie: string, until: string) => {
    const body = new URLSearchParams({ kind: "page", until });
    const response = await request("/experiments/shared/share", { method: "POST", body, headers: { Cookie: cookie } });
    const link = /readonly value="([^"]+)"/.exec(await response.text())?.[1]?.replaceAll("&amp;", "&");
    return link === undefined ? response.status : link.replace(/^https?:\/\/[^/]+/, "");
  };
  return { api, request, signIn, signOut, isSignedIn, statusOf, share };
}

async function createKey(
  { api }: ReturnType<typeof startIsolate>,
  body: object = {},
): Promise<{ id: string; key: string }> {
  return (await api("POST", "/v1/api-keys", { name: "a", role: "read", ...body })).json();
}

describe("a session", () => {
  it("lasts for twelve hours, and no request extends it", async () => {
    const { signIn, isSignedIn } = startIsolate();
    const cookie = cookieOf(await signIn("reader"));
    for (let hour = 0; hour < 12; hour += 1, now += HOUR) expect(await isSignedIn(cookie)).toBe(true);
    expect(await isSignedIn(cookie)).toBe(false);
  });

  it("has a Secure cookie if it began over HTTPS", async () => {
    const { signIn } = startIsolate();
    expect((await signIn("reader", "https://panel.example")).headers.get("Set-Cookie")).toMatch(/; Secure/);
    expect((await signIn("reader")).headers.get("Set-Cookie")).not.toMatch(/Secure/);
  });

  it("is valid in every isolate, and ends within 30 s of a revocation in another one, even while in use", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { id, key } = await createKey(here);
    const cookie = cookieOf(await here.signIn(key));
    expect(await there.isSignedIn(cookie)).toBe(true);
    await here.api("DELETE", `/v1/api-keys/${id}`);
    expect(await here.isSignedIn(cookie)).toBe(false);
    for (let seconds = 0; seconds < 30; seconds += 5, now += 5_000) await there.isSignedIn(cookie);
    expect(await there.isSignedIn(cookie)).toBe(false);
  });

  it("ends when its key expires", async () => {
    const isolate = startIsolate();
    const { key } = await createKey(isolate, { expires_at: new Date(now + 10_000).toISOString() });
    const cookie = cookieOf(await isolate.signIn(key));
    now += 9_999;
    expect(await isolate.isSignedIn(cookie)).toBe(true);
    now += 1;
    expect(await isolate.isSignedIn(cookie)).toBe(false);
  });

  it.each<[string, Record<string, string>]>([
    ["its token changes", { READ_TOKEN: "another" }],
    ["its token is removed", { READ_TOKEN: "" }],
    ["SESSION_SECRET changes", { SESSION_SECRET: "another" }],
  ])("ends when %s", async (_, vars) => {
    const cookie = cookieOf(await startIsolate().signIn("reader"));
    expect(await startIsolate().isSignedIn(cookie)).toBe(true);
    expect(await startIsolate(vars).isSignedIn(cookie)).toBe(false);
  });

  it("has a Secure cookie behind a proxy if PUBLIC_URL begins with https", async () => {
    const secrets = { ADMIN_TOKEN: "", READ_TOKEN: "reader-of-the-tests", SESSION_SECRET: "s".repeat(32) };
    const { signIn } = startIsolate({ ...secrets, PUBLIC_URL: "https://panel.example" });
    expect((await signIn("reader-of-the-tests")).headers.get("Set-Cookie")).toMatch(/; Secure/);
  });

  it("has a cookie from which no guess of a token can be tested", async () => {
    const value = decodeURIComponent(cookieOf(await startIsolate().signIn("reader")));
    expect(value).toMatch(/^session=[0-9a-f]{32}\.[0-9a-f]{32}\.\d+\./);
    for (const encoding of ["hex", "base64"] as const)
      expect(value).not.toContain(createHash("sha256").update("reader").digest(encoding).slice(0, 16));
  });

  it("ends with its sign-out, in other isolates within 30 s, and leaves other sessions alone", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const [cookie, other] = [cookieOf(await here.signIn("reader")), cookieOf(await here.signIn("reader"))];
    expect(await there.isSignedIn(cookie)).toBe(true);
    expect((await here.signOut(cookie)).status).toBe(303);
    expect(await here.isSignedIn(cookie)).toBe(false);
    for (let seconds = 0; seconds < 30; seconds += 5, now += 5_000) await there.isSignedIn(cookie);
    expect(await there.isSignedIn(cookie)).toBe(false);
    expect(await startIsolate().isSignedIn(cookie)).toBe(false);
    for (const isolate of [here, there]) expect(await isolate.isSignedIn(other)).toBe(true);
    now += 12 * HOUR;
    await here.signOut(cookieOf(await here.signIn("reader")));
    const rows = await sqlite.read({ sql: "SELECT expires_at FROM ended_sessions", values: [] });
    expect(rows).toEqual([{ expires_at: now + 12 * HOUR }]);
  });

  it("writes nothing when a forged or expired session signs out", async () => {
    const isolate = startIsolate();
    const cookie = cookieOf(await isolate.signIn("reader"));
    now += 12 * HOUR;
    for (const ended of [cookie, "session=forged", ""]) expect((await isolate.signOut(ended)).status).toBe(303);
    expect(await sqlite.read({ sql: "SELECT * FROM ended_sessions", values: [] })).toEqual([]);
  });
});

describe("a share link", () => {
  const DAY = 24 * HOUR;
  const day = (days: number) => new Date(now + days * DAY).toISOString().slice(0, 10);
  beforeEach(async () => {
    const body = { environment_key: "env", feature_name: "button" };
    expect((await startIsolate().api("PUT", "/v1/experiments/shared", body)).status).toBe(201);
  });
  const linkBy = async (isolate: ReturnType<typeof startIsolate>, token: string, until = day(30)) => {
    const link = await isolate.share(cookieOf(await isolate.signIn(token)), until);
    if (typeof link === "number") throw new Error(`no link: ${link}`);
    return link;
  };

  it("is valid for at most 90 days", async () => {
    const isolate = startIsolate();
    const cookie = cookieOf(await isolate.signIn("reader"));
    expect(await isolate.share(cookie, day(90))).toMatch(/^\/experiments\/shared\?/);
    expect(await isolate.share(cookie, day(91))).toBe(400);
  });

  it("ends when the key that made it expires, to the millisecond", async () => {
    const isolate = startIsolate();
    const expires_at = new Date(now + 2.5 * DAY).toISOString();
    const { key } = await createKey(isolate, { expires_at });
    const cookie = cookieOf(await isolate.signIn(key));
    expect(await isolate.share(cookie, day(3))).toBe(400);
    const link = await linkBy(isolate, key, day(2));
    now += 2.5 * DAY - 1;
    expect(await isolate.statusOf(link)).toBe(200);
    now += 1;
    expect(await isolate.statusOf(link)).toBe(303);
  });

  it("ends within 30 s of the revocation of the key that made it, even while in use, and no other link does", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const [{ id, key }, other] = [await createKey(here), await createKey(here)];
    const [link, otherLink] = [await linkBy(here, key), await linkBy(here, other.key)];
    for (const isolate of [here, there]) expect(await isolate.statusOf(link)).toBe(200);
    await here.api("DELETE", `/v1/api-keys/${id}`);
    expect(await here.statusOf(link)).toBe(303);
    for (let seconds = 0; seconds < 30; seconds += 5, now += 5_000) await there.statusOf(link);
    for (const isolate of [here, there]) {
      expect(await isolate.statusOf(link)).toBe(303);
      expect(await isolate.statusOf(otherLink)).toBe(200);
    }
  });

  it.each([
    { token: "reader", vars: { READ_TOKEN: "another" } },
    { token: "reader", vars: { READ_TOKEN: "" } },
    { token: "admin", vars: { ADMIN_TOKEN: "another" } },
  ])("ends when the token that made it is replaced: $vars", async ({ token, vars }) => {
    const link = await linkBy(startIsolate(), token);
    expect(await startIsolate().statusOf(link)).toBe(200);
    expect(await startIsolate(vars).statusOf(link)).toBe(303);
  });

  it("survives the sign-out of the visitor who made it", async () => {
    const isolate = startIsolate();
    const cookie = cookieOf(await isolate.signIn("reader"));
    const link = String(await isolate.share(cookie, day(1)));
    await isolate.signOut(cookie);
    expect(await isolate.statusOf(link)).toBe(200);
  });

  it("cannot be passed off as made by another key", async () => {
    const isolate = startIsolate();
    const [revoked, other] = [await createKey(isolate), await createKey(isolate)];
    const link = await linkBy(isolate, revoked.key);
    await isolate.api("DELETE", `/v1/api-keys/${revoked.id}`);
    expect(await isolate.statusOf(link.replace(revoked.id, other.id))).toBe(303);
  });
});

describe("PUBLIC_URL", () => {
  const vars = {
    ADMIN_TOKEN: "",
    READ_TOKEN: "reader-of-the-tests",
    SESSION_SECRET: "s".repeat(32),
    PUBLIC_URL: "https://panel.example",
  };

  it("is the origin of share links and the server of the OpenAPI document", async () => {
    await startIsolate().api("PUT", "/v1/experiments/shared", { environment_key: "env", feature_name: "button" });
    const { request, signIn } = startIsolate(vars);
    const body = new URLSearchParams({ kind: "page", until: "2026-06-02" });
    const headers = { Cookie: cookieOf(await signIn("reader-of-the-tests")) };
    const page = await (await request("/experiments/shared/share", { method: "POST", body, headers })).text();
    expect(page).toContain('readonly value="https://panel.example/experiments/shared?until=');
    expect((await (await request("/openapi.json", {})).json()).servers).toEqual([{ url: "https://panel.example" }]);
    expect((await (await startIsolate().request("/openapi.json", {})).json()).servers).toEqual([{ url: "/" }]);
  });

  it("is an origin whose forms are accepted, besides that of the request", async () => {
    const { request } = startIsolate(vars);
    const submit = async (Origin: string) => {
      const body = new URLSearchParams({ token: "reader-of-the-tests" });
      return (await request("http://127.0.0.1:8787/login", { method: "POST", body, headers: { Origin } })).status;
    };
    expect(await submit("https://panel.example")).toBe(303);
    expect(await submit("http://127.0.0.1:8787")).toBe(303);
    expect(await submit("https://evil.example")).toBe(403);
  });

  it.each(["/healthz", "/login", "/v1/experiments", "/nothing-here"])(
    "turns on HSTS if it is https: %s",
    async (path) => {
      const HSTS = "Strict-Transport-Security";
      const { headers } = await startIsolate(vars).request(path, {});
      expect([headers.get(HSTS), headers.get("X-Content-Type-Options")]).toEqual(["max-age=31536000", "nosniff"]);
      expect((await startIsolate().request(`https://panel.example${path}`, {})).headers.has(HSTS)).toBe(true);
      expect((await startIsolate().request(path, {})).headers.has(HSTS)).toBe(false);
    },
  );
});
