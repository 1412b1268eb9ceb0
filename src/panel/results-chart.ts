import type { CheckStatus } from "../exposures/health.ts";
import { formatIdentities, formatNumber, formatUtc, shortName } from "../format.ts";
import type { Comparison } from "../results/compare.ts";
import type { MetricResult, Results } from "../results/compute-results.ts";
import { conclude } from "../results/conclusion.ts";
import { describeConclusion, wordFor } from "../results/describe-conclusion.ts";
import { describeDirection, formatInterval, formatLift, formatMean } from "../results/format-results.ts";
import { drawAxisLabels, drawInterval, type IntervalAxis, intervalAxisOf } from "./interval-axis.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import type { Palette } from "./palettes.ts";

export type ResultsChartOptions = {
  width: number;
  palette: Palette;
  name: string;
  /** Null while there are no results. */
  asOf: number | null;
  health: CheckStatus | null;
};

const LEFT = 16;
const LINE_HEIGHT = 18;
const INTERVAL_HEIGHT = 22;
/** The average width of a character at 12 pixels. A longer text is cut. */
const CHARACTER_WIDTH = 6.6;
/** A longer key of a variant would push the figures behind it out of the picture. */
const MAX_KEY_LENGTH = 24;
/** More rows would make a picture that nobody reads. */
const MAX_ROWS = 60;

/** A piece of the picture, drawn from `y` on. */
type Piece = { height: number; draw: (y: number) => Markup };

/** Draws the results as a self-contained SVG: the conclusion, then each comparison on one axis. It is as tall as it must be. */
export function drawResults(results: Results | null, options: ResultsChartOptions): Markup {
  const { width, palette, name, asOf } = options;
  const text = textPieces(width - 2 * LEFT, palette);
  const pieces = [
    text(name, { bold: true }),
    text(asOf === null || results === null ? "N/A: not computed yet" : `as of ${formatUtc(asOf)}`, { faint: true }),
    ...(results === null ? [] : [...conclusionPieces(results, options), ...comparisonPieces(results, options)]),
  ];
  const height = pieces.reduce((sum, piece) => sum + piece.height, 2 * LEFT);
  let y = LEFT;
  const drawn = pieces.map((piece) => {
    const markup = piece.draw(y);
    y += piece.height;
    return markup;
  });
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${safeText(name)}: ${describe(results, options)}" font-family="system-ui, sans-serif" font-size="12" fill="${palette.ink}">
<rect width="${width}" height="${height}" fill="${palette.ground}"/>
${drawn}
</svg>`;
}

type TextStyle = { bold?: boolean; faint?: boolean; bad?: boolean };

/** Lines of text that are cut at `width`. */
function textPieces(width: number, palette: Palette) {
  const maxLength = Math.floor(width / CHARACTER_WIDTH);
  return (text: string, { bold = false, faint = false, bad = false }: TextStyle = {}): Piece => {
    const characters = [...text];
    const shown = characters.length > maxLength ? `${characters.slice(0, maxLength - 1).join("")}…` : text;
    return {
      height: LINE_HEIGHT,
      draw: (y) =>
        markup`<text x="${LEFT}" y="${y + 13}"${bold ? markup` font-weight="600"` : ""} fill="${bad ? palette.bad : faint ? palette.faint : palette.ink}">${safeText(shown)}</text>`,
    };
  };
}

const gap = (height: number): Piece => ({ height, draw: () => markup`` });

/** Splits a sentence at its spaces. */
function wrap(sentence: string, maxLength: number): string[] {
  const lines: string[] = [];
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && [...last].length + word.length < maxLength) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function conclusionPieces(results: Results, { width, palette, health }: ResultsChartOptions): Piece[] {
  const text = textPieces(width - 2 * LEFT, palette);
  const { warning, title, sentences } = describeConclusion(conclude(results, health !== "unhealthy"), (name) => name);
  const wrapped = (sentence: string, style?: TextStyle) =>
    wrap(sentence, Math.floor((width - 2 * LEFT) / CHARACTER_WIDTH)).map((line) => text(line, style));
  return [
    gap(6),
    ...(warning === null ? [] : wrapped(warning, { bold: true, bad: true })),
    text(title, { bold: true }),
    ...sentences.flatMap((sentence) => wrapped(sentence)),
  ];
}

function comparisonPieces(results: Results, { width, palette }: ResultsChartOptions): Piece[] {
  const axis = intervalAxisOf(results);
  const text = textPieces(width - 2 * LEFT, palette);
  const pieces: Piece[] = [];
  let rows = 0;
  let hidden = 0;
  for (const metric of results.metrics) {
    const variants = [...metric.variants].filter(([key]) => key !== results.control);
    const shown = variants.slice(0, MAX_ROWS - rows);
    hidden += variants.length - shown.length;
    rows += shown.length;
    if (shown.length === 0) continue;
    pieces.push(gap(12), text(metric.metric.name, { bold: true }));
    pieces.push(text(controlText(metric, results.control), { faint: true }));
    for (const [variant, { identities, mean }] of shown) {
      const value = `${formatMean(metric.metric.aggregation, mean)}, ${formatIdentities(identities)}`;
      const comparison = metric.comparisons.get(variant);
      if (comparison === undefined) pieces.push(text(`${shortKey(variant)}, not compared: ${value}`));
      else pieces.push(text(sentenceOf(variant, comparison, value)), intervalPiece(axis, comparison, width, palette));
    }
  }
  if (hidden > 0) pieces.push(gap(6), text(`and ${formatNumber(hidden)} more in the CSV`, { faint: true }));
  if (results.metrics.some(({ comparisons }) => comparisons.size > 0)) pieces.push(axisPiece(axis, width, palette));
  return pieces;
}

const shortKey = (key: string) => shortName(key, MAX_KEY_LENGTH);

function sentenceOf(variant: string, { lift, interval, verdict }: Comparison, value: string): string {
  const figures = lift === null || interval === null ? "" : `${formatLift(lift)} (${formatInterval(interval)}), `;
  return `${shortKey(variant)} is ${wordFor(verdict)}: ${figures}${value}`;
}

function controlText({ metric, variants }: MetricResult, control: string | null): string {
  const direction = describeDirection(metric.expectedDirection);
  if (control === null) return direction;
  return `${direction}, ${shortKey(control)}: ${formatMean(metric.aggregation, variants.get(control)?.mean ?? null)}`;
}

function intervalPiece(axis: IntervalAxis, comparison: Comparison, width: number, palette: Palette): Piece {
  const size = { width, height: INTERVAL_HEIGHT, palette };
  return {
    height: INTERVAL_HEIGHT,
    draw: (y) => markup`<g transform="translate(0 ${y})">${drawInterval(axis, comparison, size)}</g>`,
  };
}

function axisPiece(axis: IntervalAxis, width: number, palette: Palette): Piece {
  const size = { width, height: LINE_HEIGHT, palette };
  return {
    height: LINE_HEIGHT,
    draw: (y) => markup`<g transform="translate(0 ${y})">${drawAxisLabels(axis, size)}</g>`,
  };
}

/** The conclusion in words, for screen readers. */
function describe(results: Results | null, { health }: ResultsChartOptions): string {
  if (results === null) return "not computed yet";
  const { warning, title, sentences } = describeConclusion(conclude(results, health !== "unhealthy"), safeText);
  return [warning, `${title}.`, ...sentences].filter((sentence) => sentence !== null).join(" ");
}
