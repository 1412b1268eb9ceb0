import { describe, expect, it } from "vitest";
import { writeCausesCsv } from "../../src/panel/causes-csv.ts";
import { healthSection } from "../../src/panel/health-section.ts";
import type { CheckResult, Exposures } from "../../src/panel/parse-exposures.ts";

const HOSTILE = `<img src=x onerror=alert(1)>"'\u202e`;

const values = [
  { value: HOSTILE, identities: { control: 30, treatment: 10, "": 5 }, excluded_identities: 10 },
  { value: null, identities: { control: 1, treatment: 1 }, excluded_identities: 0 },
];
const cause = { dimension: "traits.plan", ...values[0], detail: `"${HOSTILE}" explains it.` };
const check: CheckResult = {
  name: "sample_ratio",
  status: "unhealthy",
  detail: "It is off.",
  causes: [cause],
  causes_detail: "One value explains it.",
  began_at: null,
  breakdown: { dimension: "traits.plan", values },
};

function exposuresWith(...checks: CheckResult[]): Exposures {
  const variants = ["control", "treatment"].map((key) => ({ key, total: 1, added: [], cumulative: [] }));
  return { total: 2, excluded: 0, granularity: "day", buckets: [], variants, health: { status: "unhealthy", checks } };
}

const identitiesQuery = (dimension: string, value: string) => ({ sql: "SELECT 1", parameters: { dimension, value } });
const view = { experiment: { id: "a b" }, identitiesQuery, shareQuery: null };
const pageOf = (...checks: CheckResult[]) => healthSection(view, exposuresWith(...checks)).toString();

describe("healthSection", () => {
  it("shows the causes of a check, its values with bars, and the query of the first cause's identities", () => {
    const page = pageOf(check);
    expect(page).toContain("One value explains it.");
    expect(page).toContain('<td class="number">30</td><td class="number">10</td><td class="number">5</td>');
    expect(page).toContain("All others");
    expect(page.match(/<svg class="bar"/g)).toHaveLength(2);
    expect(page).toContain("SELECT 1");
  });

  it("shows times of first exposures like all other times", () => {
    const [first, second] = values;
    const times = [
      { ...first, value: "2026-11-17T00:00:00.000Z" },
      { ...second, value: "no time" },
    ];
    const page = pageOf({ ...check, breakdown: { dimension: "first_exposure", values: times } });
    expect(page).toContain('<th scope="row">2026-11-17 00:00 UTC</th>');
    expect(page).toContain("no time");
  });

  it("links to the causes as a file, except on a shared page", () => {
    expect(pageOf(check)).toContain('href="/v1/experiments/a%20b/causes.csv"');
    const shared = healthSection({ ...view, shareQuery: new URLSearchParams() }, exposuresWith(check)).toString();
    expect(shared).not.toContain("causes.csv");
  });

  it("escapes values, and neutralises their direction marks", () => {
    const page = pageOf(check);
    expect(page).not.toContain("<img");
    expect(page.slice(page.indexOf("<table"), page.indexOf("</table>"))).not.toContain("\u202e");
  });

  it("shows the share of excluded identities for several variants", () => {
    const page = pageOf({ ...check, name: "multiple_variants" });
    expect(page).toContain("Excluded share");
    // The largest share fills its bar.
    expect(page).toContain("M0.0 0h100.0v8h-100.0z");
    expect(page).toContain("M0.0 0h0.0v8h-0.0z");
  });

  it.each<[string, Partial<CheckResult>]>([
    ["none", { causes: null, causes_detail: null, breakdown: null }],
    ["another version's", { causes: 5, causes_detail: {}, breakdown: [] }],
    ["none, before there were any", { causes: undefined, causes_detail: undefined, breakdown: undefined }],
  ])("shows no causes if there are %s", (_, figures) => {
    const page = pageOf({ ...check, ...figures });
    expect(page).not.toContain("<table");
    expect(page).toContain("It is off.");
  });

  it("shows the answer that there is no cause", () => {
    const page = pageOf({ ...check, causes: [], causes_detail: "Alike everywhere.", breakdown: null });
    expect(page).toContain("Alike everywhere.");
    expect(page).not.toContain("SQL query");
  });

  it.each([
    [{ causes: [5, null, { identities: [1], value: 7 }] }],
    [{ breakdown: { values: [null, 1, { identities: "x" }] } }],
  ])("survives the malformed figures %j", (figures) => {
    expect(() => [
      pageOf({ ...check, ...figures }),
      writeCausesCsv(exposuresWith({ ...check, ...figures })),
    ]).not.toThrow();
  });
});

describe("writeCausesCsv", () => {
  it("has one row per variant of each cause, with formulas disarmed", () => {
    const formula = { ...cause, value: "=1+1", detail: "@SUM(A1)" };
    expect(writeCausesCsv(exposuresWith({ ...check, causes: [formula] })).split("\r\n")).toEqual([
      "check,dimension,value,variant,identities,detail",
      `"sample_ratio","traits.plan","'=1+1","control",30,"'@SUM(A1)"`,
      `"sample_ratio","traits.plan","'=1+1","treatment",10,"'@SUM(A1)"`,
      `"sample_ratio","traits.plan","'=1+1","",5,"'@SUM(A1)"`,
      `"sample_ratio","traits.plan","'=1+1","$multiple",10,"'@SUM(A1)"`,
      "",
    ]);
  });

  it("has only the header without causes", () => {
    expect(writeCausesCsv(null)).toBe("check,dimension,value,variant,identities,detail\r\n");
  });
});
