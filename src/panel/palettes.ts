import type { Palette } from "./chart.ts";

// Colours that differ for the colour-blind too, each with a contrast of at least 4.5 to what is behind it.

const LIGHT_LINES = ["#0b5fb5", "#b8400b", "#0f7049", "#9a2f88", "#7a5600", "#4653b5"];
const DARK_LINES = ["#74b6ff", "#ff9d66", "#58d6a6", "#f293dc", "#e6c364", "#aab6ff"];

export const themes = ["light", "dark"] as const;
export type Theme = (typeof themes)[number];

export const PALETTES: Record<Theme, Palette> = {
  light: { lines: LIGHT_LINES, ink: "#1b2330", faint: "#586274", ground: "#ffffff" },
  dark: { lines: DARK_LINES, ink: "#e8ecf3", faint: "#a3adbd", ground: "#12161d" },
};

/** The stylesheet decides. */
export const PAGE_PALETTE: Palette = {
  lines: LIGHT_LINES.map((_, index) => `var(--line-${index})`),
  ink: "var(--ink)",
  faint: "var(--faint)",
  ground: "var(--ground)",
};

/** A theme as the stylesheet's variables. */
export function variablesOf({ lines, ink, faint, ground }: Palette): string {
  return [
    ...lines.map((line, index) => `--line-${index}:${line}`),
    ...[`--ink:${ink}`, `--faint:${faint}`, `--ground:${ground}`],
  ].join(";");
}
