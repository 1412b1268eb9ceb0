import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browse, cookieOf, signInWith } from "../support/visitor.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const SESSION_SECRET = "session secret of the tests";
const HOUR = 3_600_000;

let worker: TestWorker;
let closed: TestWorker;
let open: TestWorker;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  const vars = { SESSION_SECRET, CLIENT_ADDRESS_HEADER: "X-Real-IP" };
  worker = await startWorker(settings, vars);
  closed = await startWorker(settings);
  open = await startWorker(settings, { ...vars, PUBLIC_READ: true });
  for (const each of [worker, closed, open]) await start(each, "kept");
  await start(worker, "theirs", "theirs");
});
afterAll(async () => {
  await Promise.all([worker, closed, open].map((each) => each?.stop()));
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
    { who: "the admin token", token: ADMIN, refreshes: true },
    { who: "the read token", token: READER, refreshes: false },
    { who: "the read token with spaces around", token: `  ${READER}\n`, refreshes: false },
  ])("with $who opens the pages, and offers a refresh to whoever may: $refreshes", async ({ token, refreshes }) => {
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

  it("with a key of one environment shows its experiments only", async () => {
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
    { what: "a wrong one", token: "wrong", reason: "not known here" },
    { what: "none", token: "", reason: "not known here" },
    { what: "a mistyped key", token: `ee_${"a".repeat(72)}`, reason: "mistyped" },
  ])("takes no token but those that are good: not $what, and says why", async ({ token, reason }) => {
    const answer = await browse(worker).post("/login", { token, next: "/experiments/kept" });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain(reason);
    expect(answer.text).toContain('value="/experiments/kept"');
    if (token !== "") expect(answer.text).not.toContain(token);
    expect(answer.headers.has("Set-Cookie")).toBe(false);
    expect(answer.headers.has("WWW-Authenticate")).toBe(true);
  });

  it("sets a cookie that scripts and other sites do not get, and that is not the token", async () => {
    const header = (await browse(worker).post("/login", { token: ADMIN })).headers.get("Set-Cookie") ?? "";
    const parts = header
      .split(/; */)
      .slice(1)
      .map((part) => part.toLowerCase());
    expect(parts.sort()).toEqual(["httponly", "max-age=43200", "path=/", "samesite=lax"]);
    expect(decodeURIComponent(header)).not.toContain(ADMIN);
  });

  it.each([...["/", "/experiments/kept", "/experiments/kept?series=new", "/?search=%C3%A4", "/?next=//a"]])(
    "leads to %s afterwards",
    async (next) => {
      const answer = await browse(worker).post("/login", { token: READER, next });
      expect([answer.status, answer.headers.get("Location")]).toEqual([303, next]);
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
  ])("never leads elsewhere, by %j", async (next) => {
    const answer = await browse(worker).post("/login", { token: READER, next });
    expect([answer.status, answer.headers.get("Location")]).toEqual([303, "/"]);
    const asked = await browse(worker).get(`/login?next=${encodeURIComponent(next)}`);
    expect(asked.text).toContain('name="next" value="/"');
  });

  it("comes before a page, and leads back to it", async () => {
    const answer = await browse(worker).get("/experiments/kept?series=new");
    expect(answer.status).toBe(303);
    expect(answer.headers.get("Location")).toBe("/login?next=%2Fexperiments%2Fkept%3Fseries%3Dnew");
    expect((await browse(worker).get("/", { Accept: "application/json" })).status).toBe(401);
  });

  it.each([
    ["another type", "application/json", JSON.stringify({ token: ADMIN }), 415],
    ["parts without a boundary", "multipart/form-data", "x", 415],
    ["a megabyte", "application/x-www-form-urlencoded", `token=${"a".repeat(2 ** 20)}`, 413],
    ["bytes that are no text", "application/x-www-form-urlencoded", "token=%ff%fe", 401],
  ])("takes no form of %s", async (_, type, body, status) => {
    const answer = await browse(worker).postAs("/login", body, { "Content-Type": type });
    expect(answer.status).toBe(status);
    expect(answer.headers.has("Set-Cookie")).toBe(false);
  });

  it("shuts out an address whose attempts fail and fail, and nobody else", async () => {
    const { post } = browse(worker, "", { "X-Real-IP": "192.0.2.77" });
    const refused = await until(
      () => post("/login", { token: "wrong" }),
      ({ status }) => status !== 401,
    );
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(refused.text).toContain("Try again in 60 s");
    expect((await post("/login", { token: "another" })).status).toBe(429);
    await signInWith(worker, READER, { "X-Real-IP": "192.0.2.78" });
  });
});

describe("a session", () => {
  const isNobody = async (cookie: string) => {
    expect((await browse(worker, cookie).get("/")).status, cookie).toBe(303);
    expect((await browse(worker, cookie).get("/v1/experiments/kept/exposures.csv")).status, cookie).toBe(401);
  };
  const signed = (value: string, secret: string) =>
    `session=${encodeURIComponent(`${value}.${createHmac("sha256", secret).update(value).digest("base64")}`)}`;

  it("is nobody's once its cookie was altered", async () => {
    const { cookie } = await signInWith(worker, ADMIN);
    const value = decodeURIComponent(cookie.slice("session=".length));
    const [sha256 = "", end = "", signature = ""] = value.split(".");
    for (const altered of [
      `${sha256}.${Number(end) + 1}.${signature}`,
      `${sha256.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))}.${end}.${signature}`,
      `${sha256}.${end}.${signature.replace(/^./, (sign) => (sign === "A" ? "B" : "A"))}`,
      `${sha256}.${end}.`,
      `${sha256}.${end}`,
      `.${end}.${signature}`,
      "",
    ])
      await isNobody(`session=${encodeURIComponent(altered)}`);
    for (const odd of ["session=%E0%A4%A", "session=%00", `other=${value}`]) await isNobody(odd);
    expect((await browse(worker, cookie).get("/")).status).toBe(200);
  });

  it("is good only with the secret, a token's sum and an end to come", async () => {
    const sha256 = /^[0-9a-f]{64}/.exec((await signInWith(worker, READER)).cookie.slice("session=".length))?.[0] ?? "";
    const later = Date.now() + HOUR;
    expect((await browse(worker, signed(`${sha256}.${later}`, SESSION_SECRET)).get("/")).status).toBe(200);
    await isNobody(signed(`${sha256}.${later}`, "another secret"));
    await isNobody(signed(`${sha256}.${Date.now() - 1}`, SESSION_SECRET));
    await isNobody(signed(`${"0".repeat(64)}.${later}`, SESSION_SECRET));
    await isNobody(signed(`${sha256.toUpperCase()}.${later}`, SESSION_SECRET));
    await isNobody(signed(`${sha256}.NaN`, SESSION_SECRET));
  });

  it("ends with the key that began it", async () => {
    const { id, key } = await makeKey({});
    const { get } = await signInWith(worker, key);
    expect((await get("/")).status).toBe(200);
    await worker.call("DELETE", `/v1/api-keys/${id}`);
    expect((await get("/")).status).toBe(303);
    expect((await get("/v1/experiments/kept/exposures.svg")).status).toBe(401);
  });

  it("ends with signing out", async () => {
    const { post } = await signInWith(worker, READER);
    const answer = await post("/logout");
    expect([answer.status, answer.headers.get("Location")]).toEqual([303, "/login"]);
    expect(answer.headers.get("Set-Cookie")).toMatch(/^session=;.*Max-Age=0/);
    await isNobody(cookieOf(answer));
  });

  it("opens nothing of the API but the two downloads", async () => {
    const { get, cookie } = await signInWith(worker, ADMIN);
    for (const kind of ["svg", "csv"]) expect((await get(`/v1/experiments/kept/exposures.${kind}`)).status).toBe(200);
    const calls = [
      ...["GET /v1/experiments", "GET /v1/experiments/kept", "GET /v1/experiments/kept/exposures", "GET /v1/export"],
      ...["PUT /v1/experiments/kept", "DELETE /v1/experiments/kept", "POST /v1/experiments/kept/exposures/refresh"],
      ...["POST /v1/experiments/kept/exposures/rebuild", "GET /v1/warehouse/check", "POST /v1/import"],
      ...["GET /v1/api-keys", "POST /v1/api-keys", "DELETE /v1/api-keys/some", "POST /webhooks/refresh"],
    ];
    for (const call of calls) {
      const [method = "", path = ""] = call.split(" ");
      const answer = await worker.fetch(path, { method, headers: { Cookie: cookie, "Sec-Fetch-Site": "same-origin" } });
      expect(answer.status, call).toBe(401);
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
  it.each(foreign)("of another page is refused, and changes nothing: %j", async (headers) => {
    const { post } = await signInWith(worker, ADMIN);
    const before = await worker.call("GET", "/v1/experiments/kept/exposures");
    const fields = { token: ADMIN, kind: "page", until: "2999-01-01" };
    for (const path of ["/login", "/logout", "/experiments/kept/refresh", "/experiments/kept/share"]) {
      const answer = await post(path, fields, headers);
      expect(answer.status, path).toBe(403);
      expect(answer.headers.has("Set-Cookie")).toBe(false);
      expect(answer.text).not.toContain("signature");
    }
    expect((await worker.call("GET", "/v1/experiments/kept/exposures")).text).toBe(before.text);
  });

  it("of our own pages is taken, by the Origin that old browsers send too", async () => {
    const { post } = browse({ fetch: (path, init) => fetch(new URL(path, worker.url), init) });
    const answer = await post("/login", { token: READER }, { Origin: worker.url.origin });
    expect(answer.status).toBe(303);
  });

  it("of no browser is taken: nobody can be made to send it", async () => {
    const { post } = browse({ fetch: (path, init) => fetch(new URL(path, worker.url), init) });
    expect((await post("/login", { token: READER }, {})).status).toBe(303);
  });
});

describe("a refresh by form", () => {
  it("is noted, once in a while, and said so as a page and as JSON", async () => {
    await start(worker, "asked");
    const { post } = await signInWith(worker, ADMIN);
    const accepted = await post("/experiments/asked/refresh");
    expect([accepted.status, accepted.headers.get("Location")]).toEqual([303, "/experiments/asked"]);
    const page = await post("/experiments/asked/refresh");
    expect([page.status, page.headers.get("Retry-After")]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
    expect(page.text).toMatch(/role="alert">[^<]*Ask again in \d+ s/);
    const own = { "Sec-Fetch-Site": "same-origin", Accept: "application/json" };
    const json = await post("/experiments/asked/refresh", {}, own);
    expect([json.status, json.headers.get("Retry-After")]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    await start(worker, "asked-too");
    expect((await post("/experiments/asked-too/refresh", {}, own)).status).toBe(202);
    expect((await post("/experiments/nothing-here/refresh", {}, own)).status).toBe(404);
  });

  it("is not for those who only read", async () => {
    const { post } = await signInWith(worker, READER);
    expect((await post("/experiments/kept/refresh")).status).toBe(403);
    expect((await browse(worker).post("/experiments/kept/refresh")).headers.get("Location")).toBe("/login");
    expect((await browse(open).post("/experiments/kept/refresh")).status).toBe(403);
  });

  it("of what can't be refreshed says why on the page", async () => {
    await worker.call("PUT", "/v1/experiments/draft", { environment_key: "env", feature_name: "draft" });
    const { post } = await signInWith(worker, ADMIN);
    const answer = await post("/experiments/draft/refresh");
    expect(answer.status).toBe(409);
    expect(answer.text).toMatch(/role="alert">[^<]+</);
  });
});

it("without SESSION_SECRET the page says what to set, and nothing opens", async () => {
  const { get, post } = browse(closed);
  expect((await get("/login")).text).toContain("SESSION_SECRET");
  const answer = await post("/login", { token: ADMIN });
  expect(answer.status).toBe(503);
  expect(answer.text).toContain("SESSION_SECRET");
  expect(answer.headers.has("Set-Cookie")).toBe(false);
  const value = `${"0".repeat(64)}.${Date.now() + HOUR}`;
  const forged = createHmac("sha256", "").update(value).digest("base64");
  for (const path of ["/", "/experiments/kept", "/experiments/kept?until=2999-01-01&signature=a"])
    expect((await get(path, { Cookie: `session=${encodeURIComponent(`${value}.${forged}`)}` })).status).toBe(303);
  expect((await post("/experiments/kept/share", { kind: "page", until: "2999-01-01" })).status).toBe(303);
});

it("with PUBLIC_READ the pages open to anyone, who can do nothing there", async () => {
  const { get, post } = browse(open);
  expect((await get("/")).text).toContain("/experiments/kept");
  const page = await get("/experiments/kept");
  expect(page.status).toBe(200);
  expect(page.text).not.toMatch(/Refresh now|Create link|Sign out/);
  const shared = await post("/experiments/kept/share", { kind: "page", until: "2999-01-01" });
  expect([shared.status, shared.headers.get("Location")]).toEqual([303, "/login"]);
  const admin = await signInWith(open, ADMIN);
  expect((await admin.get("/experiments/kept")).text).toContain("Refresh now");
});

it("nothing of all this was a bug in the log, and no token came there", () => {
  for (const each of [worker, closed, open]) {
    expect(each.logs().map(({ event }) => event)).not.toContain("request.failed");
    expect(each.lines().join()).not.toContain(ADMIN);
  }
});
