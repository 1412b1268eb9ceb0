import type { Breakdown, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";

// Breakdowns of experiments with two variants of equal weights.

export const variants = [
  { key: "control", weight: 1 },
  { key: "treatment", weight: 1 },
];
/** The start of the first bucket. */
export const START = Date.UTC(2026, 5, 3);

type Figures = { excluded?: number; late?: number };

/** A value with identities in control and treatment. */
export function value(value: string | null, control: number, treatment: number, figures: Figures = {}): BreakdownValue {
  const identities = new Map([
    ["control", control],
    ["treatment", treatment],
  ]);
  return { value, identities, counted: control + treatment, excluded: figures.excluded ?? 0, late: figures.late ?? 0 };
}

/** Buckets of an hour each. */
export function hours(count: number, splitOf: (hour: number) => [number, number]): Breakdown {
  const values = Array.from({ length: count }, (_, hour) => value(String(START + hour * HOUR), ...splitOf(hour)));
  return { dimension: "first_exposure", values };
}

export const versions = (...values: BreakdownValue[]): Breakdown => ({ dimension: "sdk_version", values });
export const countries = (...values: BreakdownValue[]): Breakdown => ({ dimension: "traits.country", values });
export const breakdowns = (...dimensions: Breakdown[]) => ({ splitFrom: START, dimensions });
