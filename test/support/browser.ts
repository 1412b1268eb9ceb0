import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import { browserPath, WIDE } from "./browser-path.ts";

// Runs pages in the installed Chromium. Each test fails if a page reports an error, unless the test expects it.

/** All pages share a process, because a new one for each navigation takes more time than the tests. */
const ARGUMENTS = [
  ...["--no-sandbox", "--process-per-site", "--disable-site-isolation-trials"],
  "--disable-features=SpareRendererForSitePerProcess,IsolateOrigins,site-per-process",
];

let launched: Promise<Browser> | null = null;
/** The pages of the current test, with their options as JSON. */
const opened: { page: Page; options: string }[] = [];
/** Pages of earlier tests, by their options. */
const idle = new Map<string, Page[]>();
const browserErrors: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(clear));
  expect(browserErrors.splice(0), "errors in the browser").toEqual([]);
});

/** Leaves the page of a test, and makes its browser forget the visitor. */
async function clear({ page, options }: (typeof opened)[number]): Promise<void> {
  if (page.isClosed()) return;
  const context = page.context();
  try {
    await page.goto("/healthz");
    await context.clearCookies();
    await context.clearPermissions();
    idle.set(options, [...(idle.get(options) ?? []), page]);
  } catch {
    // The test may have left a navigation under way.
    await context.close();
  }
}

afterAll(async () => {
  await (await launched)?.close();
});

/** Returns the errors so far and clears them, so that they do not fail the test. */
export function takeBrowserErrors(): string[] {
  return browserErrors.splice(0);
}

type PageOptions = BrowserContextOptions & { baseURL: string };

/**
 * Returns a page without cookies, which another test may have used. Errors, violations of the Content-Security-Policy,
 * dialogs and requests to hosts other than that of `baseURL` fail the test.
 */
export async function openPage(options: PageOptions): Promise<Page> {
  const key = JSON.stringify(options);
  const page = idle.get(key)?.pop() ?? (await newPage(options));
  opened.push({ page, options: key });
  return page;
}

async function newPage(options: PageOptions): Promise<Page> {
  launched ??= chromium.launch({ executablePath: browserPath ?? "", args: ARGUMENTS });
  const browser = await launched;
  const context = await browser.newContext({ viewport: WIDE, locale: "en", ...options });
  const page = await context.newPage();
  context.setDefaultTimeout(20_000);
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") browserErrors.push(message.text());
  });
  page.on("pageerror", (error) => browserErrors.push(String(error)));
  page.on("dialog", async (dialog) => {
    browserErrors.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${options.baseURL}/`)) browserErrors.push(`request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`violates ${violatedDirective}: ${blockedURI}`);
    });
  });
  return page;
}

/** Returns the width by which a page exceeds its viewport, in pixels. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

/** Returns the sum of all layout shifts since the page opened. */
export function layoutShift(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if ("value" in entry) sum += Number(entry.value);
        }).observe({ type: "layout-shift", buffered: true });
        // The observer gets buffered entries in the next task, and shifts of the current paint after the next frames.
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(sum), 0)));
      }),
  );
}
