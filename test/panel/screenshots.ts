import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { browserPath, PHONE } from "../support/browser-path.ts";

// The pictures of the README, made by hand: `node test/panel/screenshots.ts http://127.0.0.1:8787` against `npm start`.

const FOLDER = join(import.meta.dirname, "screenshots");
const MOST_BYTES = 100_000;
const WIDE = { width: 900, height: 780 };

const [baseURL = ""] = process.argv.slice(2);
if (baseURL === "" || browserPath === null) {
  console.error("usage: node test/panel/screenshots.ts BASE_URL, of an `npm start` with the demo; needs a Chromium");
  process.exit(1);
}

mkdirSync(FOLDER, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
try {
  await take("list", "/");
  await take("experiment", "/experiments/checkout-cta", { read: true });
  await take("broken", "/experiments/pricing-page?series=new");
  await take("phone-dark", "/experiments/onboarding-flow", { viewport: PHONE, colorScheme: "dark" });
  await take("docs", "/docs");
} finally {
  await browser.close();
}

type Look = { viewport?: typeof WIDE; colorScheme?: "dark"; read?: boolean };

async function take(name: string, path: string, { viewport = WIDE, colorScheme, read = false }: Look = {}) {
  const page = await browser.newPage({
    ...{ baseURL, viewport, deviceScaleFactor: 1, locale: "en" },
    colorScheme: colorScheme ?? "light",
  });
  await signIn(page, path);
  // The last bucket but one has a cursor and its values, as if somebody pointed at it.
  if (read) {
    await page.locator(".plot").focus();
    await page.keyboard.press("ArrowLeft");
  }
  const file = join(FOLDER, `${name}.png`);
  await page.screenshot({ path: file, animations: "disabled" });
  const { size } = statSync(file);
  console.log(`${file}: ${size} bytes`);
  if (size >= MOST_BYTES) throw new Error(`${name}.png has ${size} bytes: at most ${MOST_BYTES} are for pictures`);
  await page.close();
}

async function signIn(page: Page, path: string): Promise<void> {
  await page.goto(`/login?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Token").fill("dev-admin");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("h1").filter({ hasNotText: "Sign in" }).waitFor();
}
