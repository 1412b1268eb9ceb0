import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PAGE_SIZE } from "../../src/store/experiment-list.ts";
import { browse, signInWith } from "../support/visitor.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const DAY = 86_400_000;

let worker: TestWorker;
let reader: Awaited<ReturnType<typeof signInWith>>;
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings, { SESSION_SECRET: "secret" });
  reader = await signInWith(worker, READER);
});
afterAll(() => worker.stop());

async function put(id: string, environment_key: string, more: object = {}) {
  const now = Date.now();
  await worker.call("PUT", `/v1/experiments/${id}`, { environment_key, feature_name: id, ...more });
  // The next change must have a later time.
  await until(Date.now, (time) => time > now + 1);
}

const idsIn = (page: string) => [...page.matchAll(/href="\/experiments\/([^"]+)"/g)].map(([, id]) => id);
const list = (query = "") => reader.get(`/${query}`);
const idsOf = async (query: string) => idsIn((await list(query)).text);

it("the list, while it is empty, says how to add the first experiment", async () => {
  expect((await list()).text).toContain("curl -X PUT");
});

describe("every page", () => {
  beforeAll(() => put("page", "pages"));
  const paths = [
    "/login",
    "/docs",
    "/",
    "/?page=7",
    "/experiments/page",
    "/experiments/nothing-here",
    "/experiments/%00",
  ];
  it.each(paths)("%s loads only our own resources, and is not cached", async (path) => {
    const { headers, text } = await reader.get(path);
    const directives = (headers.get("Content-Security-Policy") ?? "").split("; ");
    expect(directives).toContain("default-src 'none'");
    expect(directives).toContain("base-uri 'none'");
    expect(directives).toContain("form-action 'self'");
    expect(directives).toContain("frame-ancestors 'none'");
    expect(directives.join()).not.toMatch(/unsafe|\*|https?:|data:/);
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Referrer-Policy")).toMatch(/^(same-origin|no-referrer)$/);
    expect(headers.get("Cache-Control")).toBe("private, no-store");
    expect(headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(text).not.toMatch(/ style="|<style|<script>| on[a-z]+="|javascript:/);
    expect(text).not.toMatch(/(?:src|href|action)="(?:https?:|\/\/)/);
  });

  it.each(paths)("%s answers HEAD like GET, without a body", async (path) => {
    const [got, head] = [await reader.get(path), await reader.head(path)];
    expect([head.status, head.text]).toEqual([got.status, ""]);
    expect(head.headers.get("Content-Type")).toBe(got.headers.get("Content-Type"));
  });

  it("links to assets that are cached forever", async () => {
    const { text } = await browse(worker).get("/login");
    const assets = [...text.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(assets).toHaveLength(3);
    for (const path of assets) {
      const { status, headers } = await browse(worker).get(path);
      expect(status).toBe(200);
      expect(headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
      expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    }
    expect((await browse(worker).get("/assets/style-00000000.css")).status).toBe(404);
  });

  it.each([
    "/experiments/nothing-here",
    "/experiments/%00",
    "/experiments/%E0%A4%A",
    `/experiments/${"a".repeat(2000)}`,
  ])("is a 404 page for an unknown experiment: %s", async (path) => {
    const { status, text } = await reader.get(path);
    expect(status).toBe(404);
    expect(text).toContain("Not found");
  });

  it("escapes markup in names", async () => {
    const name = "</title><script>alert(1)</script>\"' onload=x \u202eltr";
    const variants = [{ key: "<img src=x>", weight: 1 }];
    await put("hostile", '"><b>', {
      name,
      feature_name: "<i>",
      variants,
      started_at: new Date(Date.now() - DAY).toISOString(),
    });
    await until(
      () => worker.exposures("hostile"),
      ({ exposures }) => exposures !== null,
    );
    for (const path of ["/", "/experiments/hostile", `/?search=${encodeURIComponent('"><script>')}`]) {
      const { text } = await reader.get(path);
      expect(text).not.toMatch(/<script>|<img|<b>|<i>/);
    }
    expect((await reader.get("/experiments/hostile")).text).toContain("&lt;script&gt;alert(1)");
  });
});

describe("the list", () => {
  it("shows the most recently edited or refreshed experiments first", async () => {
    for (const id of ["first", "second", "third"]) await put(id, "order");
    expect(await idsOf("?environment=order")).toEqual(["third", "second", "first"]);
    await put("first", "order", { name: "Edited" });
    expect(await idsOf("?environment=order")).toEqual(["first", "third", "second"]);
    await put("running", "order", { started_at: new Date(Date.now() - DAY).toISOString() });
    await put("second", "order", { name: "Edited" });
    await until(
      () => worker.exposures("running"),
      ({ exposures }) => exposures !== null,
    );
    // A refresh counts as activity at its as_of.
    await until(
      async () => {
        await worker.sweep();
        return idsOf("?environment=order");
      },
      ([newest]) => newest === "running",
    );
  });

  it("finds part of an id, a name or a feature in any case, without wildcards", async () => {
    await put("Search-Id", "search", { name: "100% of_all", feature_name: "Buy_Button" });
    await put("other", "search", { name: "100 percent", feature_name: "buyXbutton" });
    const found = (search: string) => idsOf(`?environment=search&search=${encodeURIComponent(search)}`);
    for (const search of ["search-id", "SEARCH", "100%", "OF_ALL", "buy_button", "  of_all  "])
      expect(await found(search), search).toEqual(["Search-Id"]);
    expect(await found("100")).toEqual(["other", "Search-Id"]);
    for (const search of ["%", "_"]) expect(await found(search)).toEqual(["Search-Id"]);
    for (const search of ["*", "nothing", "\\", "' OR 1=1 --", "\0"]) expect(await found(search), search).toEqual([]);
  });

  it("filters by environment and status, and offers to show all if nothing matches", async () => {
    const [past, later] = [-DAY, DAY].map((from) => new Date(Date.now() + from).toISOString());
    await put("draft", "filter");
    await put("planned", "filter", { started_at: later });
    await put("on", "filter", { started_at: past });
    await put("over", "filter", { started_at: new Date(0).toISOString(), ended_at: past });
    const filtered = async (status: string) => (await idsOf(`?environment=filter&status=${status}`)).sort();
    expect(await filtered("draft")).toEqual(["draft", "planned"]);
    expect(await filtered("running")).toEqual(["on"]);
    expect(await filtered("completed")).toEqual(["over"]);
    expect((await list("?environment=nothing-here")).text).toContain("Show all");
    expect((await list()).text).toContain('<option value="filter">');
  });

  it("has pages that show each experiment once and keep the filter", async () => {
    const ids = Array.from({ length: PAGE_SIZE + 1 }, (_, index) => `paged-${index}`);
    for (const id of ids) await put(id, "paged");
    const first = await list("?environment=paged");
    expect(idsIn(first.text)).toHaveLength(PAGE_SIZE);
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const second = await reader.get(next);
    expect(idsIn(second.text)).toEqual(["paged-0"]);
    expect([...idsIn(first.text), ...idsIn(second.text)].sort()).toEqual([...ids].sort());
    expect(second.text).not.toContain('rel="next"');
    const back = /rel="prev" href="([^"]+)"/.exec(second.text)?.[1]?.replaceAll("&amp;", "&") ?? "";
    expect(idsIn((await reader.get(back)).text)).toEqual(idsIn(first.text));
    expect((await list("?environment=search")).text).not.toContain('rel="next"');
  });

  it("shows N/A for a summary that is too long for a row, and the experiment's page shows it", async () => {
    const variants = Array.from({ length: 300 }, (_, index) => ({ key: `variant-${index}`, weight: 1 }));
    await put("huge", "huge", { variants, started_at: new Date(Date.now() - 60 * DAY).toISOString() });
    await until(
      () => worker.exposures("huge"),
      ({ exposures }) => exposures !== null,
    );
    const { text } = await worker.call("GET", "/v1/experiments/huge/exposures");
    expect(text.length).toBeGreaterThan(200_000);
    const page = await list("?environment=huge");
    expect(page.status).toBe(200);
    expect(page.text).toContain("N/A");
    expect((await reader.get("/experiments/huge")).status).toBe(200);
  });

  it.each([
    ...["page=-1", "page=0", "page=1e9", "page=1.5", "page=", "page=NaN", "page=1000", "page=1001", "page=__proto__"],
    ...["status=x", "status=", "status=__proto__", "environment=", "environment=%00", "search=%00", "search=%F0%28"],
    ...[
      `search=${"a".repeat(10_000)}`,
      `search=${"%25_".repeat(2000)}`,
      "page=2&page=3",
      "__proto__=1",
      "constructor=1",
    ],
  ])("answers ?%s without an error", async (query) => {
    const { status, text } = await list(`?${query}`);
    expect(status).toBe(200);
    expect(text).toContain("<h1>Experiments</h1>");
  });
});

describe("an experiment's page", () => {
  it.each(["series=all", "series=", "series=__proto__", "series=new&series=x", "until=x&signature=y"])(
    "answers ?%s without an error",
    async (query) => {
      expect((await reader.get(`/experiments/page?${query}`)).status).toBe(200);
    },
  );
});

it("no request of these tests is logged as failed", () => {
  expect(worker.logs().map(({ event }) => event)).not.toContain("request.failed");
});
