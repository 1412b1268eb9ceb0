import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCredentialReferences } from "../../src/panel/credential-references.ts";
import {
  downloadNames,
  type ShareKind,
  type ShareLink,
  shareKinds,
  signShareLink,
} from "../../src/panel/share-link.ts";
import { browse, signInWith } from "../support/visitor.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until as waitUntil } from "../support/worker.ts";

const SESSION_SECRET = "session secret of the tests";
const DAY = 86_400_000;
const day = (from: number) => new Date(Date.now() + from).toISOString().slice(0, 10);
const until = day(2 * DAY);

let worker: TestWorker;
let rotated: TestWorker;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  worker = await startWorker(settings, { SESSION_SECRET });
  rotated = await startWorker(settings, { SESSION_SECRET: "another secret" });
  for (const on of [worker, rotated])
    for (const id of ["ours", "ours2", "theirs"]) await put(on, id, id === "theirs" ? "theirs" : "env");
});
afterAll(async () => {
  await Promise.all([worker, rotated].map((each) => each?.stop()));
});

const put = (on: TestWorker, id: string, environment_key: string) =>
  on.call("PUT", `/v1/experiments/${id}`, { environment_key, feature_name: id });

const pathOf = (kind: ShareKind, id: string) =>
  kind === "page" ? `/experiments/${id}` : `/v1/experiments/${id}/${downloadNames[kind]}`;

/** Submits the form. Returns the response, and the path and query of the link on it; null if there is none. */
async function share(visitor: Awaited<ReturnType<typeof signInWith>>, id: string, form: Record<string, string>) {
  const response = await visitor.post(`/experiments/${id}/share`, form);
  const link = /readonly value="([^"]+)"/.exec(response.text)?.[1]?.replaceAll("&amp;", "&");
  const url = link === undefined ? null : new URL(link);
  return { ...response, link: url === null ? null : url.pathname + url.search };
}

async function shared(kind: ShareKind, id = "ours") {
  const { link } = await share(await signInWith(worker, READER), id, { kind, until });
  if (link === null) throw new Error("no link");
  return link;
}

/** A link by READ_TOKEN. */
async function linkTo(unsigned: Omit<ShareLink, "by">, secret = SESSION_SECRET): Promise<string> {
  const references = createCredentialReferences(secret, { adminToken: ADMIN, readToken: READER });
  const by = await references.of({ name: "READ_TOKEN", right: "read", environmentKey: null });
  const link = { ...unsigned, by };
  const query = new URLSearchParams({ until: link.until, by, signature: await signShareLink(secret, link) });
  return `${pathOf(link.kind, link.experimentId)}?${query}`;
}

describe.each(shareKinds)("a shared link to the %s", (kind) => {
  it("opens it without signing in", async () => {
    const response = await browse(worker).get(await shared(kind));
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Security-Policy")).toContain(
      kind.endsWith("csv") ? "frame-ancestors 'none'" : "frame-ancestors *",
    );
    expect(response.text).not.toMatch(/Refresh now|Create link|Sign out|SELECT/);
    expect((await browse(worker).head(await shared(kind))).status).toBe(200);
  });

  it("opens nothing else", async () => {
    const query = (await shared(kind)).split("?")[1] ?? "";
    const { get, post } = browse(worker);
    const others = shareKinds
      .flatMap((other) => ["ours", "ours2", "theirs"].map((id) => pathOf(other, id)))
      .filter((path) => path !== pathOf(kind, "ours"));
    for (const path of [...others, "/", "/v1/experiments", "/v1/experiments/ours", "/v1/experiments/ours/exposures"]) {
      const { status } = await get(`${path}?${query}`);
      expect([303, 401], `${path}: ${status}`).toContain(status);
    }
    for (const action of ["refresh", "share"])
      expect((await post(`/experiments/ours/${action}?${query}`, { kind, until })).headers.get("Location")).toBe(
        "/login",
      );
    const refresh = await worker.fetch(`/v1/experiments/ours/exposures/refresh?${query}`, { method: "POST" });
    expect(refresh.status).toBe(401);
  });

  it("opens nothing once it is altered", async () => {
    const link = await shared(kind);
    const refused = kind === "page" ? 303 : 401;
    for (const altered of [
      link.replace(until, day(3 * DAY)),
      link.replace(/signature=./, (start) => (start.endsWith("A") ? "signature=B" : "signature=A")),
      link.replace(/&signature=.*/, ""),
      link.replace(/until=[^&]*&/, ""),
      link.replace(/by=./, (start) => (start.endsWith("a") ? "by=b" : "by=a")),
      link.replace(/&by=[^&]*/, ""),
      link.replace(until, ""),
      link.replace("?", "?until=2999-01-01&"),
      `${link.replace(/signature=.*/, "signature=")}%00`,
    ])
      expect((await browse(worker).get(altered)).status, altered).toBe(refused);
  });

  it("expires after its last day, or when the secret changes", async () => {
    const refused = kind === "page" ? 303 : 401;
    const link = { kind, experimentId: "ours", environmentKey: "env", until };
    expect((await browse(worker).get(await linkTo(link))).status).toBe(200);
    expect((await browse(worker).get(await linkTo({ ...link, until: day(0) }))).status).toBe(200);
    expect((await browse(worker).get(await linkTo({ ...link, until: day(-DAY) }))).status).toBe(refused);
    expect((await browse(rotated).get(await shared(kind))).status).toBe(refused);
    expect((await browse(rotated).get(await linkTo(link, "another secret"))).status).toBe(200);
  });

  it("stops working when its experiment moves to another environment or is deleted", async () => {
    await put(worker, "moving", "env");
    const link = await shared(kind, "moving");
    const isOpen = async () => (await browse(worker).get(link)).status === 200;
    expect(await isOpen()).toBe(true);
    await put(worker, "moving", "theirs");
    expect(await isOpen()).toBe(false);
    await worker.call("DELETE", "/v1/experiments/moving");
    expect(await isOpen()).toBe(false);
  });
});

describe("a shared page", () => {
  it("says that its link is not valid where it asks to sign in", async () => {
    const { get } = browse(worker);
    const loginOf = async (path: string) => (await get((await get(path)).headers.get("Location") ?? "")).text;
    const link = { kind: "page", experimentId: "ours", environmentKey: "env", until: day(-DAY) } as const;
    expect(await loginOf(await linkTo(link))).toContain("This link has expired or is not valid.");
    expect(await loginOf("/experiments/ours")).not.toContain("This link");
  });

  it("links to its other chart, and to nothing that requires signing in", async () => {
    const started_at = new Date(Date.now() - 3_600_000).toISOString();
    const definition = { environment_key: "env", feature_name: "counted", started_at };
    await worker.call("PUT", "/v1/experiments/counted", definition);
    await waitUntil(
      () => worker.exposures("counted"),
      ({ exposures }) => exposures !== null,
    );
    const { get } = browse(worker);
    const page = await get(await shared("page", "counted"));
    const links = [...page.text.matchAll(/href="([^"#]+)"/g)].map(([, href = ""]) => href.replaceAll("&amp;", "&"));
    const other = links.filter((href) => href.includes("series="));
    expect(other).toHaveLength(2);
    for (const href of links) expect((await get(href)).status, href).toBe(200);
  });
});

describe("sharing", () => {
  it("requires a visitor who has signed in and can see the experiment", async () => {
    const { json } = await worker.call("POST", "/v1/api-keys", { name: "a", role: "write", environment_key: "theirs" });
    const bound = await signInWith(worker, json.key);
    for (const kind of ["page", "svg", "csv"]) {
      expect(await share(bound, "ours", { kind, until })).toMatchObject({ status: 404, link: null });
      expect((await share(bound, "ours", { kind, until })).text).not.toContain("signature");
      const { link } = await share(bound, "theirs", { kind, until });
      expect((await browse(worker).get(link ?? "")).status).toBe(200);
      expect((await browse(worker).get((link ?? "").replace("theirs", "ours"))).status).not.toBe(200);
    }
    const admin = await signInWith(worker, ADMIN);
    expect((await share(admin, "theirs", { kind: "page", until })).link).not.toBeNull();
    expect((await share(admin, "nothing-here", { kind: "page", until })).status).toBe(404);
    const signedOut = await browse(worker).post("/experiments/ours/share", { kind: "page", until });
    expect([signedOut.status, signedOut.headers.get("Location")]).toEqual([303, "/login"]);
  });

  it.each([
    { kind: "page", until: day(-DAY) },
    { kind: "page", until: day(92 * DAY) },
    { kind: "page", until: "2026-13-01" },
    { kind: "page", until: "never" },
    { kind: "page" },
    { kind: "json", until },
    { until },
  ])("rejects %j and states the reason", async (form) => {
    const reader = await signInWith(worker, READER);
    const response = await share(reader, "ours", Object.fromEntries(Object.entries(form)));
    expect(response).toMatchObject({ status: 400, link: null });
    expect(response.text).toMatch(/role="alert">[^<]+</);
  });
});

it("a shared link also works for a signed-in visitor, and sends no referrer", async () => {
  const { json } = await worker.call("POST", "/v1/api-keys", { name: "a", role: "read", environment_key: "theirs" });
  const response = await (await signInWith(worker, json.key)).get(await shared("page"));
  expect(response.status).toBe(200);
  expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
});

it("no request of these tests is logged as failed", () => {
  for (const each of [worker, rotated]) expect(each.logs().map(({ event }) => event)).not.toContain("request.failed");
});
