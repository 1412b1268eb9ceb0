import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import { browserPath, WIDE } from "./browser-path.ts";

// Runs pages in the installed Chromium. Each test fails if a page reports an error, unless the test expects it.

let launched: Promise<Browser> | null = null;
const opened: Page[] = [];
const browserErrors: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((page) => page.context().close()));
  expect(browserErrors.splice(0), "errors in the browser").toEqual([]);
});

afterAll(async () => {
  await (await launched)?.close();
});

/** Returns the errors so far and clears them, so that they do not fail the test. */
export function takeBrowserErrors(): string[] {
  return browserErrors.splice(0);
}

/**
 * Opens an empty page with its own cookies and storage. Errors, violations of the Content-Security-Policy, dialogs and
 * requests to hosts other than that of `baseURL` fail the test.
 */
export async function newPage(options: BrowserContextOptions & { baseURL: string }): Promise<Page> {
  launched ??= chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
  const browser = await launched;
  const context = await browser.newContext({ viewport: WIDE, locale: "en", ...options });
  const page = await context.newPage();
  opened.push(page);
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
