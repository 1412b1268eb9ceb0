import { formatUtc, quoteName, shortName } from "../format.ts";
import { type Breakdown, FIRST_EXPOSURE } from "./breakdown.ts";
import type { Suspect } from "./worst-values.ts";

/** Names a value and its dimension, or a period. */
function nameOf({ breakdown: { dimension, values }, from, to }: Suspect): string {
  const value = values[from]?.value ?? null;
  if (dimension !== FIRST_EXPOSURE)
    return `${value === null ? "all other values" : quoteName(value)} (${shortName(dimension)})`;
  const timeOf = (index: number) => formatUtc(Number(values[index]?.value));
  if (to === values.length) return `the time from ${timeOf(from)} on`;
  return from === 0 ? `the time before ${timeOf(to)}` : `the time from ${timeOf(from)} to ${timeOf(to)}`;
}

/** One sentence about a cause. */
export function describeCause(suspect: Suspect, mirrors: readonly Suspect[], finding: string): string {
  const name = nameOf(suspect);
  const same = mirrors.length === 0 ? "" : `, nearly the same identities as ${formatList(mirrors.map(nameOf))}`;
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}${same}: ${finding}.`;
}

/** Sums up all causes. */
export function describeCauses(suspects: readonly Suspect[], isAll: boolean, beganAt: number | null): string {
  const names = formatList(suspects.map(nameOf));
  const summary = isAll
    ? `It is explained by ${names}.`
    : `It is partly explained by ${names}: fix this first, then check again.`;
  return beganAt === null ? summary : `${summary} It began at ${formatUtc(beganAt)}.`;
}

/** Says that the values of some dimensions are alike. */
export function describeNoCause(alike: readonly Breakdown[]): string {
  if (alike.length === 0) return "No single value explains it.";
  return `It is the same for every value of ${formatList(alike.map(({ dimension }) => shortName(dimension)))}: look at the assignment itself.`;
}

/** `a`, `a and b`, or `a, b, and c`. */
export const formatList = (names: readonly string[]) => new Intl.ListFormat("en").format(names);
