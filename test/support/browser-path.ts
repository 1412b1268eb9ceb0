import { existsSync } from "node:fs";

/** The headless shell comes first: it has no browser window to draw, and takes half the time. */
const KNOWN_PATHS = [
  "/usr/bin/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** The path of Chromium or a browser based on it; null if none is installed. */
export const browserPath =
  [process.env["CHROMIUM"] ?? "", ...KNOWN_PATHS].find((path) => path !== "" && existsSync(path)) ?? null;

/** The viewports of a laptop and a small phone, in CSS pixels. */
export const WIDE = { width: 1000, height: 800 };
export const PHONE = { width: 360, height: 740 };
