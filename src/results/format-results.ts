import type { Aggregation, ExpectedDirection } from "../experiment.ts";
import { formatDays, formatPercent } from "../format.ts";
import type { Interval } from "./sequential.ts";

// One decimal, or two digits of a smaller lift, so that no end of an interval is rounded to 0.
const signed = { style: "percent", signDisplay: "exceptZero" } as const;
const oneDigit = new Intl.NumberFormat("en", { ...signed, minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDigits = new Intl.NumberFormat("en", { ...signed, maximumSignificantDigits: 2 });
const wholePercent = new Intl.NumberFormat("en", { ...signed, maximumFractionDigits: 0 });
const huge = new Intl.NumberFormat("en", { ...signed, notation: "scientific", maximumSignificantDigits: 2 });

/** Formats a lift with its sign: +4.3%, −0.025%, +1,240%. */
export function formatLift(lift: number): string {
  const size = Math.abs(lift);
  const format = size >= 1e4 ? huge : size >= 10 ? wholePercent : size === 0 || size >= 0.01 ? oneDigit : twoDigits;
  return format.format(lift).replace("-", "\u2212");
}

export const formatInterval = ([low, high]: Interval) => `${formatLift(low)} to ${formatLift(high)}`;

const ratio = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 3 });
const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const scientific = new Intl.NumberFormat("en", { notation: "scientific", maximumSignificantDigits: 4 });

/** Formats the mean of a metric: the share of identities that converted, or a value per identity. */
export function formatMean(aggregation: Aggregation, mean: number | null): string {
  if (mean === null || !Number.isFinite(mean)) return "N/A";
  if (aggregation === "occurrence") return ratio.format(mean);
  const size = Math.abs(mean);
  return (size !== 0 && (size >= 1e9 || size < 1e-4) ? scientific : plain).format(mean).replace("-", "\u2212");
}

/** A chance, never shown as certain. */
export function formatChance(chance: number): string {
  if (chance > 0.999) return ">99.9%";
  if (chance < 0.001) return "<0.1%";
  return chance > 0.99 ? ratio.format(chance) : formatPercent(chance);
}

const DIRECTIONS: Record<ExpectedDirection, string> = {
  increase: "goal: more is better",
  decrease: "goal: less is better",
  not_increase: "guardrail: must not increase",
  not_decrease: "guardrail: must not decrease",
};
export const describeDirection = (direction: ExpectedDirection) => DIRECTIONS[direction];

const MEANINGS: Record<Aggregation, string> = {
  occurrence: "identities with the event",
  count: "events per identity",
  sum: "sum of values per identity",
  mean: "average value per identity",
};
export const describeAggregation = (aggregation: Aggregation) => MEANINGS[aggregation];

const YEAR = 365;

/** Formats how long it takes until a lift would show. */
export function formatWait(days: number): string {
  if (days === 0) return "now";
  if (days > 10 * YEAR) return "in over 10 years";
  return days < 1 ? "within a day" : `in ${formatDays(days < 10 ? Math.ceil(days * 10) / 10 : Math.ceil(days))}`;
}
