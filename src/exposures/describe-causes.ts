import { formatUtc, quoteName, shortName } from "../format.ts";
import type { Breakdown } from "./breakdown.ts";
import { type Suspect, TIME } from "./worst-values.ts";

/** Names a value and its dimension, or a period. */
function nameOf({ breakdown: { dimension, values }, from, to }: Suspect): string {
  const value = values[from]?.value ?? null;
  if (dimension !== TIME) return `${value === null ? "all other values" : quoteName(value)} (${shortName(dimension)})`;
  const timeOf = (index: number) => formatUtc(Number(values[index]?.value));
  if (to === values.length) return `the time from ${timeOf(from)} on`;
  return from === 0 ? `the time before ${timeOf(to)}` : `the time from ${timeOf(from)} to ${timeOf(to)}`;
}

/** One sentence about a cause. */
export function describeCause(suspect: Suspect, mirrors: readonly Suspect[], finding: string): string {
  const name = nameOf(suspect);
  const same = mirrors.length === 0 ? "" : `, nearly the same identities as ${mirrors.map(nameOf).join(" and ")}`;
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}${same}: ${finding}.`;
}

/** Sums up all causes. */
export function describeCauses(count: number, isFairWithout: boolean, beganAt: number | null): string {
  const explain = count === 1 ? "One value explains" : `${count} values explain`;
  const rest = isFairWithout ? "it." : "a part of it: mend this first, then look again.";
  return `${explain} ${rest}${beganAt === null ? "" : ` It began at ${formatUtc(beganAt)}.`}`;
}

/** Says that the values of some dimensions are alike. */
export function describeNoCause(alike: readonly Breakdown[]): string {
  if (alike.length === 0) return "No single value explains it.";
  const names = new Intl.ListFormat("en").format(alike.map(({ dimension }) => shortName(dimension)));
  return `It is the same for every value of ${names}: look at the assignment itself.`;
}
