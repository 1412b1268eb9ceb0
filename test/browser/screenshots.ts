import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { browserPath, PHONE } from "../support/browser-path.ts";

// Takes the screenshots of the docs. It needs an `npm start` with the demo, and one without experiments on its warehouse:
// `PORT=8788 DEMO=0 STATE_DIR=.state-empty CLICKHOUSE_URL=http://127.0.0.1:8123 npm start`.

const FOLDER = join(import.meta.dirname, "screenshots");
const MAX_BYTES = 120_000;

const [demoURL = "", emptyURL = ""] = process.argv.slice(2);
if (emptyURL === "" || browserPath === null) {
  console.error("usage: node test/browser/screenshots.ts DEMO_URL EMPTY_URL. Chromium is required.");
  process.exit(1);
}

mkdirSync(FOLDER, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
try {
  await capture("list", "/", { height: 450 });
  await capture("experiment", "/experiments/checkout-cta", { height: 1000 });
  await capture("broken", "/experiments/pricing-page?series=new", { height: 1000 });
  await capture("phone-dark", "/experiments/onboarding-flow", {
    width: PHONE.width,
    height: 1000,
    colorScheme: "dark",
  });
  await capture("docs", "/docs", { height: 600 });
  await capture("form", "/experiments/checkout-cta/edit", { height: 1000 });
  await capture("first-page", "/", { height: 620, baseURL: emptyURL });
} finally {
  await browser.close();
}

type Options = { height: number; width?: number; colorScheme?: "dark" | "light"; baseURL?: string };

async function capture(
  name: string,
  path: string,
  { height, width = 900, colorScheme = "light", baseURL = demoURL }: Options,
) {
  const viewport = { width, height };
  const page = await browser.newPage({ baseURL, viewport, colorScheme, deviceScaleFactor: 1, locale: "en" });
  await signIn(page, path);
  const file = join(FOLDER, `${name}.png`);
  await page.screenshot({ path: file, animations: "disabled" });
  const { size } = statSync(file);
  console.log(`${file}: ${size} bytes`);
  if (size >= MAX_BYTES) throw new Error(`${name}.png has ${size} bytes. The max is ${MAX_BYTES}.`);
  await page.close();
}

async function signIn(page: Page, path: string): Promise<void> {
  await page.goto(`/login?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Token").fill("dev-admin");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("h1").filter({ hasNotText: "Sign in" }).waitFor();
}
