import type { Status } from "../experiment.ts";
import type { CheckName, CheckStatus } from "../exposures/health.ts";
import { formatUtc } from "../format.ts";
import { type Markup, markup } from "./markup.ts";

/** A time in UTC, readable by people and machines. */
export function timeOf(time: number): Markup {
  return markup`<time datetime="${new Date(time).toISOString()}">${formatUtc(time)}</time>`;
}

/** Formats an age in its largest unit, such as "3 hours ago". */
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

const checkTitles: Record<CheckName, string> = {
  sample_ratio: "Sample ratio",
  multiple_variants: "Several variants",
  unknown_variants: "Unknown variants",
  exposures_arriving: "Exposures arriving",
  late_events: "Late events",
  window: "Window",
  invalid_events: "Invalid events",
};

/** The title of a check, or the name of one of another version. */
export const titleOf = (name: string): string =>
  Object.entries(checkTitles).find(([known]) => known === name)?.[1] ?? name;
