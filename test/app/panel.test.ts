import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browse, cookieOf, signInWith } from "../support/visitor.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const SESSION_SECRET = "session secret of the tests";
const HOUR = 3_600_000;

let worker: TestWorker;
let withoutSecret: TestWorker;
let publicWorker: TestWorker;
let publicWithoutSecret: TestWorker;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  const vars = { SESSION_SECRET, CLIENT_ADDRESS_HEADER: "X-Real-IP" };
  worker = await startWorker(settings, vars);
  withoutSecret = await startWorker(settings);
  publicWorker = await startWorker(settings, { ...vars, PUBLIC_READ: true });
  publicWithoutSecret = await startWorker(settings, { PUBLIC_READ: true });
  for (const each of [worker, withoutSecret, publicWorker, publicWithoutSecret]) await start(each, "kept");
  await start(worker, "theirs", "theirs");
});
afterAll(async () => {
  await Promise.all([worker, withoutSecret, publicWorker, publicWithoutSecret].map((each) => each?.stop()));
});

async function start(on: TestWorker, id: string, environment_key = "env") {
  const started_at = new Date(Date.now() - HOUR).toISOString();
  await on.call("PUT", `/v1/experiments/${id}`, { environment_key, feature_name: id, started_at });
  await until(
    () => on.exposures(id),
    ({ exposures }) => exposures !== null,
  );
}

async function makeKey(body: object) {
  const { json } = await worker.call("POST", "/v1/api-keys", { name: "of the tests", role: "read", ...body });
  return { id: String(json.id), key: String(json.key) };
}

describe("signing in", () => {
  it.each([
    { credential: "the admin token", token: ADMIN, refreshes: true },
    { credential: "the read token", token: READER, refreshes: false },
    { credential: "the read token with surrounding spaces", token: `  ${READER}\n`, refreshes: false },
  ])("with $credential opens the pages (with a refresh button: $refreshes)", async ({ token, refreshes }) => {
    const { get } = await signInWith(worker, token);
    const list = await get("/");
    expect(list.status).toBe(200);
    expect(list.text).toContain("/experiments/kept");
    expect(list.text).toContain("/experiments/theirs");
    const page = await get("/experiments/kept");
    expect(page.status).toBe(200);
    expect(page.text.includes("Refresh now")).toBe(refreshes);
    expect(page.text).toContain("Sign out");
  });

  it("with a key of one environment shows only its experiments", async () => {
    const { get, post } = await signInWith(worker, (await makeKey({ environment_key: "theirs", role: "write" })).key);
    const list = (await get("/")).text;
    expect(list).toContain("/experiments/theirs");
    expect(list).not.toContain("kept");
    expect(list).not.toContain(">env<");
    expect((await get("/?environment=env")).text).not.toContain("/experiments/kept");
    expect((await get("/experiments/theirs")).status).toBe(200);
    const hidden = await get("/experiments/kept");
    expect(hidden.status).toBe(404);
    expect(hidden.text).toBe((await get("/experiments/nothing-here")).text);
    for (const kind of ["svg", "csv"]) {
      expect((await get(`/v1/experiments/theirs/exposures.${kind}`)).status).toBe(200);
      expect((await get(`/v1/experiments/kept/exposures.${kind}`)).status).toBe(404);
    }
    expect((await post("/experiments/kept/refresh")).status).toBe(404);
  });

  it.each([
    { label: "an unknown token", token: "wrong", reason: "token is unknown" },
    { label: "an empty token", token: "", reason: "token is unknown" },
    { label: "a mistyped key", token: `ee_${"a".repeat(72)}`, reason: "mistyped" },
  ])("rejects $label and states the reason", async ({ token, reason }) => {
    const response = await browse(worker).post("/login", { token, next: "/experiments/kept" });
    expect(response.status).toBe(401);
    expect(response.text).toContain(reason);
    expect(response.text).toContain('value="/experiments/kept"');
    if (token !== "") expect(response.text).not.toContain(token);
    expect(response.headers.has("Set-Cookie")).toBe(false);
    expect(response.headers.has("WWW-Authenticate")).toBe(true);
  });

  it("sets an HttpOnly, SameSite cookie that does not contain the token", async () => {
    const header = (await browse(worker).post("/login", { token: ADMIN })).headers.get("Set-Cookie") ?? "";
    const parts = header
      .split(/; */)
      .slice(1)
      .map((part) => part.toLowerCase());
    expect(parts.sort()).toEqual(["httponly", "max-age=43200", "path=/", "samesite=lax"]);
    expect(decodeURIComponent(header)).not.toContain(ADMIN);
  });

  it.each([...["/", "/experiments/kept", "/experiments/kept?series=new", "/?search=%C3%A4", "/?next=//a"]])(
    "redirects to %s",
    async (next) => {
      const response = await browse(worker).post("/login", { token: READER, next });
      expect([response.status, response.headers.get("Location")]).toEqual([303, next]);
    },
  );

  it.each([
    ...[
      "//evil.example",
      "https://evil.example",
      "/\\evil.example",
      "\\\\evil.example",
      "/\t/evil.example",
      "/\n/evil",
    ],
    ...["javascript:alert(1)", "evil", "", "/a\\b", "/\0", "/\u0001", "/ä", "/a b", "/%\r\nSet-Cookie: a=b"],
  ])("never redirects to another site: %j", async (next) => {
    const response = await browse(worker).post("/login", { token: READER, next });
    expect([response.status, response.headers.get("Location")]).toEqual([303, "/"]);
    const form = await browse(worker).get(`/login?next=${encodeURIComponent(next)}`);
    expect(form.text).toContain('name="next" value="/"');
  });

  it("is required before a page, and returns to it", async () => {
    const response = await browse(worker).get("/experiments/kept?series=new");
    expect(response.status).toBe(303);
    expect(response.headers.get("Location")).toBe("/login?next=%2Fexperiments%2Fkept%3Fseries%3Dnew");
    expect((await browse(worker).get("/", { Accept: "application/json" })).status).toBe(401);
  });

  it.each([
    ["another content type", "application/json", JSON.stringify({ token: ADMIN }), 415],
    ["multipart data without a boundary", "multipart/form-data", "x", 415],
    ["a megabyte", "application/x-www-form-urlencoded", `token=${"a".repeat(2 ** 20)}`, 413],
    ["invalid UTF-8", "application/x-www-form-urlencoded", "token=%ff%fe", 401],
  ])("rejects a form with %s", async (_, type, body, status) => {
    const response = await browse(worker).postAs("/login", body, { "Content-Type": type });
    expect(response.status).toBe(status);
    expect(response.headers.has("Set-Cookie")).toBe(false);
  });

  it("blocks an address after repeated failures, and no other address", async () => {
    const { post } = browse(worker, "", { "X-Real-IP": "192.0.2.77" });
    let refused = await post("/login", { token: "wrong" });
    for (let attempts = 1; refused.status === 401 && attempts < 1000; attempts += 1)
      refused = await post("/login", { token: "wrong" });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(refused.text).toContain("Try again in 60 s");
    expect((await post("/login", { token: "another" })).status).toBe(429);
    await signInWith(worker, READER, { "X-Real-IP": "192.0.2.78" });
  });
});

describe("a session", () => {
  const expectSignedOut = async (cookie: string) => {
    expect((await browse(worker, cookie).get("/")).status, cookie).toBe(303);
    expect((await browse(worker, cookie).get("/v1/experiments/kept/exposures.csv")).status, cookie).toBe(401);
  };
  const signed = (value: string, secret: string) =>
    `session=${encodeURIComponent(`${value}.${createHmac("sha256", secret).update(value).digest("base64")}`)}`;

  it("is invalid once its cookie is altered", async () => {
    const { cookie } = await signInWith(worker, ADMIN);
    const value = decodeURIComponent(cookie.slice("session=".length));
    const [id = "", reference = "", end = "", signature = ""] = value.split(".");
    const alterHex = (text: string) => text.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    for (const altered of [
      `${id}.${reference}.${Number(end) + 1}.${signature}`,
      `${alterHex(id)}.${reference}.${end}.${signature}`,
      `${id}.${alterHex(reference)}.${end}.${signature}`,
      `${id}.${reference}.${end}.${signature.replace(/^./, (sign) => (sign === "A" ? "B" : "A"))}`,
      `${id}.${reference}.${end}.`,
      `${id}.${reference}.${end}`,
      `.${reference}.${end}.${signature}`,
      "",
    ])
      await expectSignedOut(`session=${encodeURIComponent(altered)}`);
    for (const odd of ["session=%E0%A4%A", "session=%00", `other=${value}`]) await expectSignedOut(odd);
    expect((await browse(worker, cookie).get("/")).status).toBe(200);
  });

  it("is valid only with the right secret, a reference to a valid token and a future end", async () => {
    const [id = "", reference = ""] = (await signInWith(worker, READER)).cookie.slice("session=".length).split(".");
    const later = Date.now() + HOUR;
    expect((await browse(worker, signed(`${id}.${reference}.${later}`, SESSION_SECRET)).get("/")).status).toBe(200);
    await expectSignedOut(signed(`${id}.${reference}.${later}`, "another secret"));
    for (const value of [
      `${id}.${reference}.${Date.now() - 1}`,
      `${id}.${"0".repeat(32)}.${later}`,
      `${id}.${"0".repeat(16)}.${later}`,
      `${id}.${reference.toUpperCase()}.${later}`,
      `${reference}.${later}`,
      `${id}.${reference}.NaN`,
    ])
      await expectSignedOut(signed(value, SESSION_SECRET));
  });

  it("ends when its key is revoked", async () => {
    const { id, key } = await makeKey({});
    const { get } = await signInWith(worker, key);
    expect((await get("/")).status).toBe(200);
    await worker.call("DELETE", `/v1/api-keys/${id}`);
    expect((await get("/")).status).toBe(303);
    expect((await get("/v1/experiments/kept/exposures.svg")).status).toBe(401);
  });

  it("ends on sign-out, on the server too", async () => {
    const { post, cookie } = await signInWith(worker, READER);
    const response = await post("/logout");
    expect([response.status, response.headers.get("Location")]).toEqual([303, "/login"]);
    expect(response.headers.get("Set-Cookie")).toMatch(/^session=;.*Max-Age=0/);
    for (const sent of [cookieOf(response), cookie]) await expectSignedOut(sent);
  });

  it("gives access to no route of the API but the two downloads", async () => {
    const { get, cookie } = await signInWith(worker, ADMIN);
    for (const kind of ["svg", "csv"]) expect((await get(`/v1/experiments/kept/exposures.${kind}`)).status).toBe(200);
    const routes = [
      ...["GET /v1/experiments", "GET /v1/experiments/kept", "GET /v1/experiments/kept/exposures", "GET /v1/export"],
      ...["PUT /v1/experiments/kept", "DELETE /v1/experiments/kept", "POST /v1/experiments/kept/exposures/refresh"],
      ...["POST /v1/experiments/kept/exposures/rebuild", "GET /v1/warehouse/check", "POST /v1/import"],
      ...["GET /v1/api-keys", "POST /v1/api-keys", "DELETE /v1/api-keys/some", "POST /webhooks/refresh"],
    ];
    for (const route of routes) {
      const [method = "", path = ""] = route.split(" ");
      const response = await worker.fetch(path, {
        method,
        headers: { Cookie: cookie, "Sec-Fetch-Site": "same-origin" },
      });
      expect(response.status, route).toBe(401);
    }
  });
});

describe("a form", () => {
  const foreign: Record<string, string>[] = [
    { Origin: "https://evil.example" },
    { Origin: "null" },
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { "Sec-Fetch-Site": "none" },
    { "Sec-Fetch-Site": "odd" },
    { Origin: "https://evil.example", "Content-Type": "application/json" },
    { Origin: "https://evil.example", "Content-Type": "text/plain" },
  ];
  it.each(foreign)("from another site is rejected, and changes nothing: %j", async (headers) => {
    const { post } = await signInWith(worker, ADMIN);
    const before = await worker.call("GET", "/v1/experiments/kept/exposures");
    const fields = { token: ADMIN, kind: "page", until: "2999-01-01" };
    const forms = ["refresh", "recount", "share"].map((form) => `/experiments/kept/${form}`);
    for (const path of ["/login", "/logout", ...forms]) {
      const response = await post(path, fields, headers);
      expect(response.status, path).toBe(403);
      expect(response.headers.has("Set-Cookie")).toBe(false);
      expect(response.text).not.toContain("signature");
    }
    expect((await worker.call("GET", "/v1/experiments/kept/exposures")).text).toBe(before.text);
  });

  it("from our own pages is accepted by its Origin alone, as old browsers send it", async () => {
    const { post } = browse({ fetch: (path, init) => fetch(new URL(path, worker.url), init) });
    const response = await post("/login", { token: READER }, { Origin: worker.url.origin });
    expect(response.status).toBe(303);
  });

  it("without Origin and Sec-Fetch-Site is accepted, because no browser sent it", async () => {
    const { post } = browse({ fetch: (path, init) => fetch(new URL(path, worker.url), init) });
    expect((await post("/login", { token: READER }, {})).status).toBe(303);
  });
});

describe("a refresh by form", () => {
  it("is accepted, then rate-limited, with a page or JSON as the response", async () => {
    await start(worker, "requested");
    const { post } = await signInWith(worker, ADMIN);
    const accepted = await post("/experiments/requested/refresh");
    expect([accepted.status, accepted.headers.get("Location")]).toEqual([303, "/experiments/requested"]);
    const page = await post("/experiments/requested/refresh");
    expect([page.status, page.headers.get("Retry-After")]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
    expect(page.text).toMatch(/role="alert">[^<]*Try again in \d+ s/);
    const own = { "Sec-Fetch-Site": "same-origin", Accept: "application/json" };
    const json = await post("/experiments/requested/refresh", {}, own);
    expect([json.status, json.headers.get("Retry-After")]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    await start(worker, "requested-too");
    expect((await post("/experiments/requested-too/refresh", {}, own)).status).toBe(202);
    expect((await post("/experiments/nothing-here/refresh", {}, own)).status).toBe(404);
  });

  it("requires the right to write", async () => {
    const { post } = await signInWith(worker, READER);
    expect((await post("/experiments/kept/refresh")).status).toBe(403);
    expect((await browse(worker).post("/experiments/kept/refresh")).headers.get("Location")).toBe("/login");
    expect((await browse(publicWorker).post("/experiments/kept/refresh")).headers.get("Location")).toBe("/login");
    const { status, text } = await browse(publicWithoutSecret).post("/experiments/kept/refresh");
    expect([status, /No access/.test(text)]).toEqual([403, true]);
  });

  it("of final numbers is a recount, which the page says until it is served", async () => {
    const [started_at, ended_at] = [5 * HOUR, 3 * HOUR].map((ago) => new Date(Date.now() - ago).toISOString());
    const body = { environment_key: "env", feature_name: "final", started_at, ended_at };
    await worker.call("PUT", "/v1/experiments/final", body);
    const isFinal = () =>
      until(
        async () => worker.exposures("final"),
        ({ is_final }) => is_final,
      );
    await isFinal();
    const { get, post } = await signInWith(worker, ADMIN);
    expect((await get("/experiments/final")).text).toContain("<button>Recount</button>");
    expect((await post("/experiments/final/refresh")).text).toMatch(/role="alert">[^<]*recount/);
    const accepted = await post("/experiments/final/recount");
    expect([accepted.status, accepted.headers.get("Location")]).toEqual([303, "/experiments/final"]);
    await until(
      () => worker.exposures("final"),
      ({ refresh_requested_at }) => refresh_requested_at === null,
    );
    const tooSoon = await post("/experiments/final/recount");
    expect(tooSoon.status).toBe(429);
    expect(tooSoon.text).toMatch(/role="alert">A refresh, recount or rebuild was requested too recently/);
    expect((await post("/experiments/kept/recount")).text).toMatch(/role="alert">[^<]*not final/);
    const reader = await signInWith(worker, READER);
    expect((await reader.get("/experiments/final")).text).not.toContain("Recount");
    expect((await reader.post("/experiments/final/recount")).status).toBe(403);
  });

  it("of a draft shows the reason on the page", async () => {
    await worker.call("PUT", "/v1/experiments/draft", { environment_key: "env", feature_name: "draft" });
    const { post } = await signInWith(worker, ADMIN);
    const response = await post("/experiments/draft/refresh");
    expect(response.status).toBe(409);
    expect(response.text).toMatch(/role="alert">[^<]+</);
  });
});

it("without SESSION_SECRET, the login page names the setting and no page opens", async () => {
  const { get, post } = browse(withoutSecret);
  expect((await get("/login")).text).toContain("SESSION_SECRET");
  const response = await post("/login", { token: ADMIN });
  expect(response.status).toBe(503);
  expect(response.text).toContain("SESSION_SECRET");
  expect(response.headers.has("Set-Cookie")).toBe(false);
  const value = `${"0".repeat(64)}.${Date.now() + HOUR}`;
  const forged = createHmac("sha256", "").update(value).digest("base64");
  for (const path of ["/", "/experiments/kept", "/experiments/kept?until=2999-01-01&signature=a"])
    expect((await get(path, { Cookie: `session=${encodeURIComponent(`${value}.${forged}`)}` })).status).toBe(303);
  expect((await post("/experiments/kept/share", { kind: "page", until: "2999-01-01" })).status).toBe(303);
});

it("with PUBLIC_READ, the pages need no token, and allow no action", async () => {
  const { get, post } = browse(publicWorker);
  expect((await get("/")).text).toContain("/experiments/kept");
  const page = await get("/experiments/kept");
  expect(page.status).toBe(200);
  expect(page.text).not.toMatch(/Refresh now|Create link|Sign out/);
  const shared = await post("/experiments/kept/share", { kind: "page", until: "2999-01-01" });
  expect([shared.status, shared.headers.get("Location")]).toEqual([303, "/login"]);
  const admin = await signInWith(publicWorker, ADMIN);
  expect((await admin.get("/experiments/kept")).text).toContain("Refresh now");
});

it("with PUBLIC_READ, a visitor whose session has ended is asked to sign in for what needs a right, and keeps the form", async () => {
  const { get, post } = browse(publicWorker);
  for (const path of ["/new", "/experiments/kept/edit", "/api-keys", "/warehouse"]) {
    const { status, headers } = await get(path);
    expect([status, headers.get("Location")], path).toEqual([303, `/login?next=${encodeURIComponent(path)}`]);
  }
  for (const path of ["/new", "/experiments/kept/edit", "/api-keys"]) {
    const { status, text } = await post(path, { name: "typed" });
    expect([status, /<h1>Sign in again/.test(text)], path).toEqual([401, true]);
  }
  for (const path of ["/experiments/kept/start", "/experiments/kept/delete", "/api-keys/x/revoke"])
    expect((await post(path)).headers.get("Location"), path).toBe("/login");
  const { post: postAsReader } = await signInWith(publicWorker, READER);
  expect((await postAsReader("/new", { name: "typed" })).status).toBe(403);
});

it("every page offers to sign in or out, unless that is its purpose or nobody can", async () => {
  const offers = async ({ get }: Pick<ReturnType<typeof browse>, "get">, path: string) =>
    /<nav>.*?<\/nav>/s.exec((await get(path)).text)?.[0].match(/Sign (in|out)|href="\/login[^"]*"/g) ?? [];
  const anonymous = browse(publicWorker);
  expect(await offers(anonymous, "/")).toEqual(['href="/login?next=%2F"', "Sign in"]);
  const page = "/experiments/kept?series=new";
  expect(await offers(anonymous, page)).toEqual([`href="/login?next=${encodeURIComponent(page)}"`, "Sign in"]);
  expect(await offers(anonymous, "/docs")).toEqual(['href="/login?next=%2Fdocs"', "Sign in"]);
  expect(await offers(anonymous, "/login")).toEqual([]);
  for (const path of ["/", "/docs"]) expect(await offers(browse(publicWithoutSecret), path)).toEqual([]);
  const signedIn = await signInWith(publicWorker, READER);
  for (const path of ["/", page, "/docs", "/new"]) expect(await offers(signedIn, path)).toEqual(["Sign out"]);
});

it("no request of these tests is logged as failed, and no token is logged", () => {
  for (const each of [worker, withoutSecret, publicWorker, publicWithoutSecret]) {
    expect(each.logs().map(({ event }) => event)).not.toContain("request.failed");
    expect(each.lines().join()).not.toContain(ADMIN);
  }
});
