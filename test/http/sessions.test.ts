import { beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { migrate } from "../../src/store/migrations.ts";
import { appDeps } from "../support/app-deps.ts";
import { cookieOf } from "../support/visitor.ts";

// Sessions as time goes by, in several isolates on one database.

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
    const answer = await request(`${origin}/login`, { method: "POST", body, headers: { Origin: origin } });
    expect(answer.status).toBe(303);
    return { status: answer.status, headers: answer.headers, text: "" };
  };
  const isIn = async (cookie: string) => (await request("/", { headers: { Cookie: cookie } })).status === 200;
  return { api, signIn, isIn };
}

async function makeKey(
  { api }: ReturnType<typeof startIsolate>,
  body: object = {},
): Promise<{ id: string; key: string }> {
  return (await api("POST", "/v1/api-keys", { name: "a", role: "read", ...body })).json();
}

describe("a session", () => {
  it("lasts for twelve hours, and no request makes it longer", async () => {
    const { signIn, isIn } = startIsolate();
    const cookie = cookieOf(await signIn("reader"));
    for (let hour = 0; hour < 12; hour += 1, now += HOUR) expect(await isIn(cookie)).toBe(true);
    expect(await isIn(cookie)).toBe(false);
  });

  it("is for HTTPS alone where it began there", async () => {
    const { signIn } = startIsolate();
    expect((await signIn("reader", "https://panel.example")).headers.get("Set-Cookie")).toMatch(/; Secure/);
    expect((await signIn("reader")).headers.get("Set-Cookie")).not.toMatch(/Secure/);
  });

  it("is known to every isolate, and ends half a minute after its key was revoked elsewhere, however busy", async () => {
    const [one, other] = [startIsolate(), startIsolate()];
    const { id, key } = await makeKey(one);
    const cookie = cookieOf(await one.signIn(key));
    expect(await other.isIn(cookie)).toBe(true);
    await one.api("DELETE", `/v1/api-keys/${id}`);
    expect(await one.isIn(cookie)).toBe(false);
    for (let seconds = 0; seconds < 30; seconds += 5, now += 5_000) await other.isIn(cookie);
    expect(await other.isIn(cookie)).toBe(false);
  });

  it("ends when its key does", async () => {
    const isolate = startIsolate();
    const { key } = await makeKey(isolate, { expires_at: new Date(now + 10_000).toISOString() });
    const cookie = cookieOf(await isolate.signIn(key));
    now += 9_999;
    expect(await isolate.isIn(cookie)).toBe(true);
    now += 1;
    expect(await isolate.isIn(cookie)).toBe(false);
  });

  it.each<[string, Record<string, string>]>([
    ["the token that began it", { READ_TOKEN: "another" }],
    ["that token away", { READ_TOKEN: "" }],
    ["the secret", { SESSION_SECRET: "another" }],
  ])("ends with whoever changes or takes %s", async (_, vars) => {
    const cookie = cookieOf(await startIsolate().signIn("reader"));
    expect(await startIsolate().isIn(cookie)).toBe(true);
    expect(await startIsolate(vars).isIn(cookie)).toBe(false);
  });
});
