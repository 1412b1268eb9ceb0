import { formatUtc, quoteName, shortName } from "../format.ts";
import type { Breakdown } from "./breakdown.ts";
import { DAY } from "./buckets.ts";
import { type Range, TIME } from "./worst-values.ts";

/** Names a value, or a period. */
export function describeRange({ dimension, values }: Breakdown, { from, to }: Range): string {
  const value = values[from]?.value ?? null;
  if (dimension !== TIME) return `${value === null ? "all other values" : quoteName(value)} (${shortName(dimension)})`;
  const timeOf = (index: number) => formatUtc(Number(values[index]?.value));
  if (to === values.length) return `the time from ${timeOf(from)} on`;
  return from === 0 ? `the time before ${timeOf(to)}` : `the time from ${timeOf(from)} to ${timeOf(to)}`;
}

/** One sentence about a cause. */
export function describeCause(name: string, mirrors: readonly string[], finding: string): string {
  const same = mirrors.length === 0 ? "" : `, nearly the same identities as ${mirrors.join(" and ")}`;
  return `${capitalise(name)}${same}: ${finding}.`;
}

/** Sums up the causes: whether they are all that is wrong. */
export function describeCauses(names: readonly string[], dimension: string, isAll: boolean): string {
  const subject =
    names.length === 1
      ? `${capitalise(names[0] ?? "")} explains`
      : `${names.length} values of ${shortName(dimension)} explain`;
  return isAll ? `${subject} it.` : `${subject} a part of it: look again once this is mended.`;
}

export const describeBegin = (time: number) => ` It began at ${formatUtc(time)}.`;

/** Says that a deviation is the same in all values of some dimensions. */
export function describeEvenness(dimensions: readonly Breakdown[]): string {
  const names = dimensions.map(nameOf);
  const last = names.pop() ?? "";
  const list = names.length === 0 ? last : `${names.join(", ")} and ${last}`;
  return `In all ${list} alike: look at the assignment itself.`;
}

function nameOf({ dimension, values }: Breakdown): string {
  if (dimension === TIME) return Number(values[1]?.value) - Number(values[0]?.value) < DAY ? "hours" : "days";
  return (
    { sdk_version: "SDK versions", sdk_language: "SDK languages" }[dimension] ?? `values of ${shortName(dimension)}`
  );
}

const capitalise = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
