import { type Markup, markup } from "./markup.ts";

/** The colours of a chart, as SVG values. Lines take the colours in `lines` in turn. */
export type Palette = {
  lines: readonly string[];
  ink: string;
  faint: string;
  ground: string;
  /** The colour of an improvement. */
  good: string;
  /** The colour of a deterioration. */
  bad: string;
};

// The colours are distinguishable for colour-blind readers, and have a contrast of at least 4.5 to the background.

const LIGHT_LINES = ["#0b5fb5", "#b8400b", "#0f7049", "#9a2f88", "#7a5600", "#4653b5"];
const DARK_LINES = ["#74b6ff", "#ff9d66", "#58d6a6", "#f293dc", "#e6c364", "#aab6ff"];

export const themes = ["light", "dark"] as const;
export type Theme = (typeof themes)[number];

export const PALETTES: Record<Theme, Palette> = {
  light: {
    lines: LIGHT_LINES,
    ink: "#1b2330",
    faint: "#586274",
    ground: "#ffffff",
    good: "#0f7049",
    bad: "#a81c1c",
  },
  dark: {
    lines: DARK_LINES,
    ink: "#e8ecf3",
    faint: "#a3adbd",
    ground: "#12161d",
    good: "#58d6a6",
    bad: "#ff9c9c",
  },
};

/** The palette of charts on pages. The stylesheet sets its variables by theme. */
export const PAGE_PALETTE: Palette = {
  lines: LIGHT_LINES.map((_, index) => `var(--line-${index})`),
  ink: "var(--ink)",
  faint: "var(--faint)",
  ground: "var(--ground)",
  good: "var(--good)",
  bad: "var(--bad)",
};

/** A palette as CSS variables. */
export function variablesOf({ lines, ...named }: Palette): string {
  return [
    ...lines.map((line, index) => `--line-${index}:${line}`),
    ...Object.entries(named).map(([name, color]) => `--${name}:${color}`),
  ].join(";");
}

/** Dash patterns tell lines of the same colour apart. */
const DASHES = [null, "6 3", "2 3"];

/** The SVG attributes of the line with this index. */
export function strokeOf(index: number, { lines }: Palette): Markup {
  const dash = DASHES[Math.floor(index / lines.length) % DASHES.length] ?? null;
  const dashes = dash === null ? "" : markup` stroke-dasharray="${dash}"`;
  return markup`fill="none" stroke="${lines[index % lines.length] ?? "currentColor"}" stroke-width="2" stroke-linejoin="round"${dashes}`;
}
