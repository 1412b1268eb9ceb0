import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import { browserPath, WIDE } from "./browser-path.ts";

// Chromium as the system has it. What a page must never do is noted from its first byte on, and looked at after each test.

let launched: Promise<Browser> | null = null;
const opened: Page[] = [];
const complaints: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((page) => page.context().close()));
  expect(complaints.splice(0), "what a browser complained of").toEqual([]);
});

afterAll(async () => {
  await (await launched)?.close();
});

/** What was complained of so far, which is no fault then. */
export function takeComplaints(): string[] {
  return complaints.splice(0);
}

/**
 * An empty page of a visitor of their own. Errors, violations of the Content-Security-Policy, dialogs and requests to
 * any host but that of `baseURL` fail the test.
 */
export async function newPage(options: BrowserContextOptions & { baseURL: string }): Promise<Page> {
  launched ??= chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
  const browser = await launched;
  const context = await browser.newContext({ viewport: WIDE, locale: "en", ...options });
  const page = await context.newPage();
  opened.push(page);
  context.setDefaultTimeout(20_000);
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", async (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${options.baseURL}/`)) complaints.push(`request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`violates ${violatedDirective}: ${blockedURI}`);
    });
  });
  return page;
}

/** By how much a page is wider than its window, in pixels. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

/** The sum of all layout shifts since the page was opened. */
export function layoutShift(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if ("value" in entry) sum += Number(entry.value);
        }).observe({ type: "layout-shift", buffered: true });
        // Buffered entries come with the next task, and what is painted now with the next frames.
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(sum), 0)));
      }),
  );
}
