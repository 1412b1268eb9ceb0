import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browse } from "../support/visitor.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { READER, startWorker, type TestWorker, until } from "../support/worker.ts";
import { problemOfXml } from "../support/xml.ts";

const HOUR = 3_600_000;
const from = Math.floor(Date.now() / HOUR) * HOUR - 3 * HOUR;
const hostileName = "\u0007<script>alert(1)</script>]]>&amp;\"' \u202eltr\u2069 \ufffe مرحبا";
const hostileKeys = ["=1+1", "＝1", 'a,b\r\n"c"', "<b>]]>", "__proto__", "$multiple", "1", "\u0001"];

let warehouse: TestWarehouse;
let worker: TestWorker;
let publicWorker: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  const exposure = (identifier: string, value: string, hour: number, feature_name = "kept") => ({
    environment_key: "env",
    feature_name,
    timestamp: from + hour * HOUR + 1000,
    identifier,
    value,
  });
  await warehouse.insert([
    ...[
      exposure("a", "control", 0),
      exposure("b", "control", 1),
      exposure("c", "treatment", 1),
      exposure("d", "treatment", 1),
    ],
    ...[exposure("e", "control", 0), exposure("e", "treatment", 1)],
    ...hostileKeys.map((key, index) => exposure(`h${index}`, key, 0, "hostile")),
  ]);
  worker = await startWorker(warehouse.settings, { CACHE_SECONDS: 7, SESSION_SECRET: "secret" });
  publicWorker = await startWorker(warehouse.settings, { CACHE_SECONDS: 7, PUBLIC_READ: true });
  const started_at = new Date(from).toISOString();
  const variants = ["control", "treatment"].map((key) => ({ key, weight: 1 }));
  const metrics = [
    { key: "any", name: "1' OR <1>", event: "purchase", aggregation: "sum", expected_direction: "increase" },
  ];
  for (const target of [worker, publicWorker]) {
    await target.call("PUT", "/v1/experiments/draft", { environment_key: "env", feature_name: "draft" });
    for (const [id, fields] of [
      ["kept", { variants, metrics }],
      ["hostile", { name: hostileName, metrics }],
    ] as const) {
      await target.call("PUT", `/v1/experiments/${id}`, {
        environment_key: "env",
        feature_name: id,
        started_at,
        ...fields,
      });
      await until(
        () => target.exposures(id),
        ({ exposures }) => exposures !== null,
      );
    }
  }
});
afterAll(async () => {
  await Promise.all([worker, publicWorker].map((each) => each?.stop()));
});

const pathOf = (name: string, id = "kept") => `/v1/experiments/${id}/${name}`;
const get = (name: string, id?: string, query = "", headers: Record<string, string> = {}) =>
  worker.call("GET", pathOf(name, id) + query, undefined, headers);

describe.each(["exposures.svg", "exposures.csv", "causes.csv", "results.svg", "results.csv"])("GET %s", (name) => {
  const isPicture = name.endsWith("svg");

  it("is cached like the JSON, and cannot run scripts", async () => {
    const { status, headers } = await get(name);
    const json = await worker.call("GET", "/v1/experiments/kept/exposures");
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toMatch(isPicture ? /^image\/svg\+xml/ : /^text\/csv; ?charset=utf-8/i);
    expect(headers.get("ETag")).toBe(json.headers.get("ETag"));
    expect(headers.get("Cache-Control")).toBe("private, max-age=7");
    expect(headers.get("Vary")).toBe("Authorization, Cookie");
    expect(headers.get("Content-Security-Policy")).toMatch(/^default-src 'none';/);
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect((await browse(publicWorker).get(pathOf(name))).headers.get("Cache-Control")).toBe("public, max-age=7");
  });

  it("returns 304 while it is unchanged", async () => {
    const etag = (await get(name)).headers.get("ETag") ?? "";
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, "*"])
      expect(await get(name, "kept", "", { "If-None-Match": value })).toMatchObject({ status: 304, text: "" });
    expect((await get(name, "kept", "", { "If-None-Match": '"other"' })).status).toBe(200);
    const head = await worker.call("HEAD", pathOf(name));
    expect([head.status, head.text, head.headers.get("ETag")]).toEqual([200, "", etag]);
  });

  it("changes its ETag when the experiment's name changes", async () => {
    const body = { environment_key: "env", feature_name: `named-${name}` };
    await worker.call("PUT", `/v1/experiments/named-${name}`, body);
    const etag = (await get(name, `named-${name}`)).headers.get("ETag") ?? "";
    await worker.call("PUT", `/v1/experiments/named-${name}`, { ...body, name: "New" });
    expect((await get(name, `named-${name}`, "", { "If-None-Match": etag })).status).toBe(200);
  });

  it("requires the right to read and an existing experiment", async () => {
    expect((await get(name, "nothing-here")).status).toBe(404);
    expect((await get(name, "kept", "", { Authorization: `Bearer ${READER}` })).status).toBe(200);
    for (const Authorization of ["Bearer wrong", "Basic x", ""])
      expect((await get(name, "kept", "", { Authorization })).status).toBe(401);
    expect((await browse(worker).get(pathOf(name))).status).toBe(401);
    expect((await browse(publicWorker).get(pathOf(name))).status).toBe(200);
  });

  it("is hidden from a key bound to another environment", async () => {
    for (const [environment_key, status] of [
      ["env", 200],
      ["theirs", 404],
    ]) {
      const { json } = await worker.call("POST", "/v1/api-keys", { name: "a", role: "read", environment_key });
      const headers = { Authorization: `Bearer ${json.key}` };
      expect((await get(name, "kept", "", headers)).status).toBe(status);
      expect((await get(name, "kept", "", { ...headers, "If-None-Match": "*" })).status).toBe(
        status === 200 ? 304 : 404,
      );
    }
  });

  it("has no numbers before the first refresh", async () => {
    const response = await get(name, "draft");
    expect(response.status).toBe(200);
    if (isPicture) expect(response.text).toContain("not computed yet");
    else expect(response.text).toMatch(/^(bucket|check|metric),[\w,]+\r\n$/);
  });
});

describe("the CSV", () => {
  it("has the numbers of the JSON, by bucket and variant", async () => {
    const { text, headers } = await get("exposures.csv");
    const { exposures } = await worker.exposures("kept");
    expect(headers.get("Content-Disposition")).toBe('attachment; filename="kept.csv"');
    const rows = text.split("\r\n").map((line) => line.split(","));
    const { points } = exposures.timeseries;
    const expected = points.flatMap((point: Record<string, Record<string, number>> & { bucket: string }) =>
      ["control", "treatment"].map((key) => [
        ...[point.bucket, `"${key}"`],
        ...[String(point["new_identities"]?.[key]), String(point["cumulative_identities"]?.[key])],
      ]),
    );
    expect(rows).toEqual([
      ["bucket", "variant", "new_identities", "cumulative_identities"],
      ...expected,
      ["", '"$multiple"', "", "1"],
      [""],
    ]);
    const sum = rows.slice(1, -2).reduce((sum, [, , added]) => sum + Number(added), 0);
    expect([sum, exposures.total_identities]).toEqual([4, 4]);
  });

  it("escapes hostile names, so that none starts a formula", async () => {
    const { text } = await get("exposures.csv", "hostile");
    for (const name of ["'=1+1", "'＝1", 'a,b\r\n""c""', "<b>]]>", "__proto__", "$multiple", "1", "\u0001"])
      expect(text).toContain(`,"${name}",1,1\r\n`);
  });
});

describe("the SVG of exposures", () => {
  it("is well-formed, even with hostile names", async () => {
    await expectSafe("exposures.svg");
    expect((await get("exposures.svg", "hostile")).text).toContain(
      "&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&amp;amp;",
    );
  });

  it("is self-contained", async () => {
    for (const name of ["exposures.svg", "results.svg"])
      expect((await get(name)).text).not.toMatch(
        /https?:(?!\/\/www\.w3\.org\/2000\/svg")|url\(|var\(|<(?:style|image|use|a) |href/,
      );
  });

  it("has the requested size, theme and series", async () => {
    const byDefault = (await get("exposures.svg")).text;
    expect(byDefault).toMatch(/width="760" height="400"/);
    expect((await get("exposures.svg", "kept", "?width=200&height=150")).text).toMatch(
      /viewBox="0 0 200 150" width="200" height="150"/,
    );
    expect((await get("exposures.svg", "kept", "?theme=light&series=cumulative")).text).toBe(byDefault);
    const dark = (await get("exposures.svg", "kept", "?theme=dark")).text;
    const newIdentities = (await get("exposures.svg", "kept", "?series=new")).text;
    expect(new Set([byDefault, dark, newIdentities]).size).toBe(3);
  });

  it.each([
    ...[
      "theme=blue",
      "theme=",
      "width=199",
      "width=4001",
      "width=-1",
      "width=1e3",
      "width=300.5",
      "width=",
      "height=149",
    ],
    ...["height=3001", "height=0x200", "series=all", "series=__proto__", "colour=red", "width=%00300"],
  ])("rejects ?%s and reports the parameter", async (query) => {
    const response = await get("exposures.svg", "kept", `?${query}`);
    expect(response.status).toBe(400);
    expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json/);
    expect(response.json.errors).toEqual([{ path: query.split("=")[0], message: expect.stringMatching(/./) }]);
  });
});

/** Expects well-formed SVG that neither runs nor reverses what it shows. */
async function expectSafe(name: string): Promise<void> {
  for (const id of ["kept", "hostile", "draft"]) {
    const { text } = await get(name, id);
    expect(problemOfXml(text)).toBeNull();
    expect(text).not.toMatch(/<script|NaN|undefined|\u202e/);
  }
}

describe("the SVG of results", () => {
  it("is well-formed, even with hostile names", async () => {
    await expectSafe("results.svg");
    const { text } = await get("results.svg", "hostile");
    expect(text).toContain("\u2068\ufffd&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&amp;amp;");
    expect(text).toContain("1&#39; OR &lt;1&gt;");
  });

  it("has the conclusion, each comparison, and the requested width and theme", async () => {
    const { text } = await get("results.svg");
    expect(text).toContain("Collecting data");
    expect(text).toContain("treatment is collecting: ");
    expect(text).toMatch(/^<svg [^>]*width="760"/);
    expect((await get("results.svg", "kept", "?width=320")).text).toMatch(/^<svg [^>]*viewBox="0 0 320 /);
    expect((await get("results.svg", "kept", "?theme=dark")).text).not.toBe(text);
  });

  it.each(["theme=blue", "width=319", "height=400", "series=new"])("rejects ?%s", async (query) => {
    const response = await get("results.svg", "kept", `?${query}`);
    expect(response.status).toBe(400);
    expect(response.json.errors).toMatchObject([{ path: query.split("=")[0] }]);
  });
});

it("logs no bug for any of these requests", () => {
  for (const each of [worker, publicWorker])
    expect(each.logs().map(({ event }) => event)).not.toContain("request.failed");
});
