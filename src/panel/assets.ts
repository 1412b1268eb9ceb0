import { formStyle } from "./form-style.ts";
import { script } from "./script.ts";
import { style } from "./style.ts";

export type Asset = { path: string; type: string; content: string };

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0b5fb5"/><path d="M3 12 7 7l3 2 3-5" fill="none" stroke="#fff" stroke-width="2"/></svg>`;

/** The static files. Each path contains a hash of the content, so that a cached copy is never stale. */
export const assets = {
  style: named("style", "css", "text/css; charset=utf-8", style + formStyle),
  script: named("script", "js", "text/javascript; charset=utf-8", script),
  icon: named("icon", "svg", "image/svg+xml", icon),
} as const satisfies Record<string, Asset>;

function named(name: string, extension: string, type: string, content: string): Asset {
  return { path: `/assets/${name}-${fnv1a(content)}.${extension}`, type, content };
}

/** The 32-bit FNV-1a hash. It only tells versions apart. */
function fnv1a(content: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(content)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
