import { readFileSync } from "node:fs";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { layoutShift, overflow } from "../support/browser.ts";
import { PHONE } from "../support/browser-path.ts";
import { startSlowNetwork } from "../support/slow-network.ts";
import { site, type Visit } from "./site.ts";

const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

const KIB = 1024;
/** The reference grows with the API. */
const maxKib = (path: string) => (path === "/docs" ? 80 : 60);
/** A line of text that wraps when its rest arrives moves what is beside it. Core Web Vitals call 0.1 good. */
const MAX_LAYOUT_SHIFT = 0.01;

/** Checks a page on a wide screen in the light theme, and on a phone in the dark theme. */
export async function checkPage(path: string, token?: null): Promise<void> {
  const visit = token === undefined ? {} : { token };
  await Promise.all([checkVisit(path, visit), checkVisit(path, { ...visit, viewport: PHONE, dark: true })]);
}

async function checkVisit(path: string, visit: Visit): Promise<void> {
  const page = await site.open(path, visit);
  expect(await layoutShift(page), "layout shift").toBeLessThan(MAX_LAYOUT_SHIFT);
  expect(await overflow(page), "horizontal overflow").toBe(0);
  expect(await sizeOf(page, path)).toBeLessThanOrEqual(maxKib(path) * KIB);
  const scripts = page.locator("script");
  expect(await scripts.count()).toBe(1);
  expect(await sizeOf(page, (await scripts.getAttribute("src")) ?? "")).toBeLessThanOrEqual(15 * KIB);

  const background = await page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
  const [red = 0, green = 0, blue = 0] = background.match(/\d+/g)?.map(Number) ?? [];
  const lightness = (red + green + blue) / 3 / 255;
  expect(lightness > 0.5 ? "light" : "dark").toBe(visit.dark === true ? "dark" : "light");

  // The content of closed details is checked too.
  await page.locator("details").evaluateAll((all) => {
    for (const details of all) details.setAttribute("open", "");
  });
  expect(await overflow(page), "horizontal overflow").toBe(0);
  await checkAccessibility(page);
}

export async function checkAccessibility(page: Page): Promise<void> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate<AxeResults>("axe.run({ resultTypes: ['violations'] })");
  const messages = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
  expect(messages).toEqual([]);
}

async function sizeOf(page: Page, path: string): Promise<number> {
  return (await (await page.context().request.get(path)).body()).byteLength;
}

const PAGES: { path: string; token?: null }[] = [
  { path: "/login", token: null },
  { path: "/" },
  { path: "/docs" },
  { path: "/experiments/checkout-cta" },
  { path: "/experiments/pricing-page?series=new" },
  { path: "/experiments/failed" },
  { path: "/experiments/draft" },
  { path: "/experiments/hostile" },
  { path: "/experiments/hostile/edit" },
  { path: "/api-keys" },
  { path: "/warehouse" },
];

export function everyPage(): void {
  it.each(PAGES)("$path is small, loads without layout shifts, and passes axe", async ({ path, token }) => {
    await checkPage(path, token);
  });

  it.each(["/", "/experiments/checkout-cta", "/experiments/hostile"])(
    "%s moves nothing while it arrives over a slow network",
    async (path) => {
      const network = await startSlowNetwork(site.run.origin);
      const visits = [{}, { viewport: PHONE }].map(async (visit) => {
        const page = await site.open(path, { ...visit, origin: network.origin });
        expect(await layoutShift(page)).toBeLessThan(MAX_LAYOUT_SHIFT);
        await page.context().close();
      });
      await Promise.all(visits).finally(network.stop);
    },
  );
}
