// The counts that src/warehouse/breakdown-rows.ts reads and src/exposures/causes.ts explains.

/** The dimension whose values are buckets of time. */
export const FIRST_EXPOSURE = "first_exposure";

/** The identities with one value of a dimension at their first exposure. */
export type BreakdownValue = {
  /** Null: all values beyond the largest 20 together. A bucket of time is its start in epoch milliseconds, as text. */
  value: string | null;
  /** Identities that saw one variant and were first exposed at or after `Breakdowns.splitFrom`, by variant. */
  identities: ReadonlyMap<string, number>;
  /** Identities that saw one variant, in the whole window. */
  counted: number;
  /** Identities that saw several variants, in the whole window. */
  excluded: number;
  /** Identities whose first exposure was collected late, in the whole window. */
  late: number;
};

/** One dimension, and its values from the largest to the smallest; the rest last. Each identity is in exactly one value. */
export type Breakdown = {
  /** `sdk_language`, `sdk_version`, `first_exposure` (the bucket of time; all buckets, in order of time) or `traits.NAME`. */
  dimension: string;
  values: readonly BreakdownValue[];
};

export type Breakdowns = {
  /** The sample ratio is tested on identities first exposed from here on, in epoch milliseconds. */
  splitFrom: number;
  dimensions: readonly Breakdown[];
};
