import { existsSync } from "node:fs";

const KNOWN_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is, or a browser made of it; null: nowhere. */
export const browserPath =
  [process.env["CHROMIUM"] ?? "", ...KNOWN_PATHS].find((path) => path !== "" && existsSync(path)) ?? null;

/** The size of a laptop's window, and that of a small phone. */
export const WIDE = { width: 1000, height: 800 };
export const PHONE = { width: 360, height: 740 };
