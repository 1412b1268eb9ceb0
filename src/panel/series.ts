import type { VariantSeries } from "./parse-exposures.ts";

export const seriesNames = ["cumulative", "new"] as const;
export type SeriesName = (typeof seriesNames)[number];

/** The values of a variant in a series, one per bucket. */
export function valuesOf(variant: VariantSeries, series: SeriesName): readonly number[] {
  return series === "new" ? variant.added : variant.cumulative;
}
