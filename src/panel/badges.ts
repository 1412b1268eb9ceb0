import type { Status } from "../experiment.ts";
import { formatUtc } from "../exposures/format.ts";
import type { CheckName, CheckStatus } from "../exposures/health.ts";
import { type Markup, markup } from "./markup.ts";

// What pages have in common to say.

/** A time for people, with what machines and scripts read. */
export function timeOf(time: number): Markup {
  return markup`<time datetime="${new Date(time).toISOString()}">${formatUtc(time)}</time>`;
}

/** How long ago that was, in the one unit that tells most. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  for (const [unit, length] of UNITS)
    if (seconds >= length) return relative.format(-Math.floor(seconds / length), unit);
  return "just now";
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 10],
] as const;

export function statusBadge(status: Status): Markup {
  return markup`<span class="badge">${status}</span>`;
}

export function healthBadge(status: CheckStatus): Markup {
  return markup`<span class="badge ${status}">${status}</span>`;
}

export const checkTitles: Record<CheckName, string> = {
  sample_ratio: "Sample ratio",
  multiple_variants: "Several variants",
  unknown_variants: "Unknown variants",
  exposures_arriving: "Exposures arriving",
  late_events: "Late events",
  window: "Window",
  invalid_events: "Invalid events",
};
