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
    return request(path, { method, headers, ...(method === "POST" ? { body: JSON.stringify(body) } : {}) });
  };
  const signIn = async (token: string, origin = "http://localhost") => {
    const body = new URLSearchParams({ token });
    const response = await request(`${origin}/login`, { method: "POST", body, headers: { Origin: origin } });
    expect(response.status).toBe(303);
    return { status: response.status, headers: response.headers, text: "" };
  };
  const isSignedIn = async (cookie: string) => (await request("/", { headers: { Cookie: cookie } })).status === 200;
  return { api, signIn, isSignedIn };
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
});
