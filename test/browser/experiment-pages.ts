import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import type { Aggregation } from "../../src/experiment.ts";
import { formatInterval, formatLift, formatMean } from "../../src/results/format-results.ts";
import { takeBrowserErrors } from "../support/browser.ts";
import { site } from "./site.ts";

const grouped = (count: number) => count.toLocaleString("en");

const utc = (time: string) => `${time.slice(0, 16).replace("T", " ")} UTC`;

/** Removes the marks that isolate the direction of a name. */
export const plain = (text: string) => text.replaceAll(/[\u2068\u2069]/g, "");

async function headline(page: Page): Promise<Record<string, string>> {
  const pairs = page.locator(".headline > div");
  const texts = await pairs.evaluateAll((all) =>
    all.map((pair): [string, string] => [
      pair.querySelector("dt")?.textContent ?? "",
      pair.querySelector("dd")?.textContent ?? "",
    ]),
  );
  return Object.fromEntries(texts);
}

type ShownCheck = {
  detail: string;
  status: string;
  causes_detail?: string | null;
  causes?: { detail: string }[] | null;
  breakdown?: { dimension: string; values: { value: string | null }[] } | null;
};

type ShownMetric = {
  name: string;
  aggregation: Aggregation;
  variants: Record<string, { identities: number; mean: number }>;
  comparisons: Record<string, { lift: number; interval: [number, number]; verdict: string }>;
};

/** The balance table, row by row. */
async function balance(page: Page): Promise<string[][]> {
  const rows = await page.locator(".balance tr").all();
  const cells = await Promise.all(rows.map((row) => row.locator("th, td").allInnerTexts()));
  return cells.map((row) => row.map((cell) => plain(cell).trim()));
}

export function experimentPages(): void {
  it.each([
    { id: "checkout-cta", unit: /^[A-Z][a-z]{2} \d+, \d\d:00 UTC: / },
    { id: "onboarding-flow", unit: /^[A-Z][a-z]{2} \d+ UTC: / },
    { id: "pricing-page", unit: /^[A-Z][a-z]{2} \d+ UTC: / },
  ])("$id shows exactly the numbers of the API", async ({ id, unit }) => {
    const page = await site.open(`/experiments/${id}`);
    const { exposures, as_of } = await site.run.exposures(id);
    expect(await headline(page)).toEqual({
      Identities: grouped(exposures.total_identities),
      Excluded: grouped(exposures.excluded_identities),
      "As of": utc(as_of),
      Health: exposures.health.status,
    });

    const table = await balance(page);
    const shown = table.slice(1, -2).map(([name = "", count]) => [name.replace(/ not configured$/, ""), count]);
    const counts = Object.entries<number>(exposures.variants).map(([name, count]) => [name, grouped(count)]);
    expect(shown.toSorted()).toEqual(counts.toSorted());
    expect(table.at(-2)?.slice(0, 2)).toEqual(["Total", grouped(exposures.total_identities)]);
    expect(table.at(-1)).toEqual(expect.arrayContaining([expect.stringContaining("$multiple")]));
    expect(table.at(-1)?.[1]).toBe(grouped(exposures.excluded_identities));

    await page.locator(".plot").focus();
    const reading = await page.locator(".reading").innerText();
    expect(reading).toMatch(unit);
    const last = exposures.timeseries.points.at(-1).cumulative_identities;
    for (const [name, count] of Object.entries<number>(last))
      expect(plain(reading)).toContain(`${name} ${grouped(count)}`);

    const checks: ShownCheck[] = exposures.health.checks;
    const sentences = await page.locator(".health li p").allInnerTexts();
    const explained = checks.flatMap(({ detail, causes_detail, causes }) => [
      ...[detail, ...(causes_detail ? [causes_detail] : [])],
      ...(causes ?? []).map(({ detail }) => detail),
    ]);
    expect(sentences.toSorted()).toEqual(explained.toSorted());
    const values = checks.flatMap(({ breakdown }) =>
      (breakdown?.values ?? []).map(({ value }) =>
        value !== null && breakdown?.dimension === "first_exposure" ? utc(value) : (value ?? "All others"),
      ),
    );
    const rows = await page.locator(".breakdown tbody th").allInnerTexts();
    expect(rows.map(plain)).toEqual(values);
    const order = ["unhealthy", "warning", "waiting", "healthy"];
    const severities = (await page.locator(".health li .badge").allInnerTexts()).map((badge) => order.indexOf(badge));
    expect(severities, "worst first").toEqual(severities.toSorted((a, b) => a - b));
  });

  it.each([
    { id: "checkout-cta", tone: "won", warning: 0 },
    { id: "onboarding-flow", tone: "harmed", warning: 0 },
    { id: "pricing-page", tone: "unhealthy", warning: 1 },
  ])("$id shows exactly the results of the API, and what they say first", async ({ id, tone, warning }) => {
    const page = await site.open(`/experiments/${id}`);
    const { results } = (await site.run.call("GET", `/v1/experiments/${id}/results`)).json;
    const banner = page.locator(".results .banner");
    expect(await banner.getAttribute("class")).toBe(`banner ${tone}`);
    expect(await banner.getByText("Do not believe these results").count()).toBe(warning);

    const rows: string[][] = [];
    for (const row of await page.locator(".metrics tbody tr").all())
      rows.push(
        (await row.locator("th, td").allInnerTexts()).map((cell) => plain(cell).replaceAll(/\s+/g, " ").trim()),
      );
    const expected = results.metrics.flatMap((metric: ShownMetric) => [
      [expect.stringContaining(metric.name), expect.anything(), ""],
      ...Object.entries(metric.variants).map(([variant, { identities, mean }]) => {
        const comparison = metric.comparisons[variant];
        const row = [`${variant} ${grouped(identities)} identities`, formatMean(metric.aggregation, mean)];
        if (comparison === undefined) return [...row, variant === results.control ? "" : "N/A", "", expect.anything()];
        const { lift, interval, verdict } = comparison;
        return [...row, formatLift(lift), formatInterval(interval), expect.stringContaining(verdict)];
      }),
    ]);
    expect(rows).toHaveLength(expected.length);
    for (const row of expected) expect(rows).toContainEqual(row);
    expect(await page.locator(".metrics").getByRole("row").count(), "a table is a table").toBe(rows.length + 1);
    expect(await page.locator(".sensitivity li").count()).toBe(results.metrics.length);
  });

  it("shows control first and marks a variant that is not configured", async () => {
    const page = await site.open("/experiments/pricing-page");
    const [, control, ...others] = await balance(page);
    expect(control?.[0]).toBe("control");
    expect(others.map(([name]) => name)).toContain("legacy not configured");
    expect(control?.slice(2).join(" ")).toMatch(/^5\d\.\d% 50\.0% \+\d\.\d%$/);
  });

  it("switches the chart and its values between cumulative and new", async () => {
    const page = await site.open("/experiments/onboarding-flow");
    const { exposures } = await site.run.exposures("onboarding-flow");
    const { new_identities } = exposures.timeseries.points.at(-1);
    const lineOf = () => page.locator(".plot .wide svg g:last-of-type path").last().getAttribute("d");
    const cumulative = await lineOf();
    await page.getByRole("link", { name: "New", exact: true }).click();
    await page.waitForURL(/series=new/);
    expect(await page.locator(".tabs [aria-current]").innerText()).toBe("New");
    expect(await lineOf()).not.toBe(cumulative);
    await page.locator(".plot").focus();
    const reading = plain(await page.locator(".reading").innerText());
    for (const [name, count] of Object.entries<number>(new_identities))
      expect(reading).toContain(`${name} ${grouped(count)}`);
    await page.getByRole("link", { name: "Cumulative" }).click();
    await page.waitForURL(/series=cumulative/);
    expect(await lineOf()).toBe(cumulative);
  });

  const states: { id: string; shows: RegExp; not?: RegExp; refresh: boolean }[] = [
    { id: "draft", shows: /Not started/, not: /N\/A|Identities/, refresh: false },
    { id: "scheduled", shows: /Not started/, not: /failed|Identities/, refresh: false },
    { id: "broken", shows: /The last refresh failed at .*N\/A: no refresh has succeeded yet/s, refresh: true },
    { id: "empty", shows: /Identities\s+0\s+Excluded\s+0.*No exposures recorded/s, not: /N\/A: /, refresh: true },
    {
      id: "failed",
      shows: /The last refresh failed at .*The numbers below are older.*Identities\s+40/s,
      refresh: true,
    },
    { id: "settling", shows: /Settling: .*Identities\s+40/s, not: /Final/, refresh: true },
    { id: "over", shows: /Final: these numbers no longer change.*Identities\s+40/s, not: /Settling/, refresh: false },
  ];
  it.each(states)("describes the state $id", async ({ id, shows, not = /no such words/, refresh }) => {
    const page = await site.open(`/experiments/${id}`);
    const text = await page.locator("#main").innerText();
    expect(text).toMatch(shows);
    expect(text).not.toMatch(not);
    expect(await page.getByRole("button", { name: "Refresh now" }).count()).toBe(refresh ? 1 : 0);
  });

  it("shows Not found for an unknown experiment", async () => {
    const page = await site.open("/experiments/nowhere");
    await page.getByRole("heading", { name: "Not found" }).waitFor();
    expect(await page.title()).toBe("Not found");
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("404")]);
  });

  it("shows the SQL query, and copies it with its parameters", async () => {
    const page = await site.open("/experiments/checkout-cta");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByText("SQL query").click();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toBe(await page.locator("#query-text").textContent());
    expect(copied).toMatch(/-- param_feature_name = "checkout_button".*SELECT/s);
  });

  it("creates a share link that opens only this page, without signing in", async () => {
    const page = await site.open("/experiments/sharing");
    await page.getByText("Share", { exact: true }).click();
    await page.getByRole("button", { name: "Create link" }).click();
    const link = await page.locator("input.link").inputValue();
    const { pathname, search } = new URL(link);
    const visitor = await site.open(pathname + search, { token: null });
    expect(await headline(visitor)).toMatchObject({ Identities: "40" });
    expect(await visitor.getByRole("button", { name: "Refresh now" }).count()).toBe(0);
    expect(await visitor.getByText("Share", { exact: true }).count()).toBe(0);
    await visitor.goto(`/experiments/live${search}`);
    await visitor.getByRole("heading", { name: "Sign in" }).waitFor();
  });
}
