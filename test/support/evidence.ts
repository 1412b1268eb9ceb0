import { bucketsOf, DAY } from "../../src/exposures/buckets.ts";
import type { Evidence } from "../../src/exposures/health.ts";
import { type Collection, type ExposureCount, summarise } from "../../src/exposures/summary.ts";

/** The start of the experiments of `evidenceOf`. */
export const FROM = Date.UTC(2026, 5, 1);

/** Numbers by variant. A Map keeps keys that an object would lose or reorder. */
type Numbers = Record<string, number> | ReadonlyMap<string, number>;
const entriesOf = (numbers: Numbers): [string, number][] =>
  numbers instanceof Map ? [...numbers] : Object.entries(numbers);

export type EvidenceInput = {
  /** Weights by variant. */
  variants?: Numbers;
  weightsChangedAt?: number;
  /** New identities in the first bucket. */
  seen?: Numbers;
  /** New identities in the second bucket. */
  later?: Numbers;
  excluded?: number;
  /** The length of the window in milliseconds. The default is ten days, in daily buckets. */
  length?: number;
  /** The default is the end of the window. */
  countedAt?: number;
  isRunning?: boolean;
  collection?: Partial<Collection>;
  eventsTtlDays?: number;
};

/** Builds the evidence of a healthy experiment, with the given deviations. */
export function evidenceOf(input: EvidenceInput): Evidence {
  const { seen = {}, later = {}, excluded = 0, length = 10 * DAY, isRunning = true, eventsTtlDays = 90 } = input;
  const window = { from: FROM, to: FROM + length };
  const { first, size, count } = bucketsOf(window);
  const countsOf = (numbers: Numbers, bucket: number) =>
    entriesOf(numbers).map(
      ([variant, identities]): ExposureCount => ({ multiple: false, variant, bucket, identities }),
    );
  const counts = [...countsOf(seen, first), ...countsOf(later, first + Math.min(1, count - 1) * size)];
  if (excluded > 0) counts.push({ multiple: true, identities: excluded });
  const variants = entriesOf(input.variants ?? { a: 1, b: 1 }).map(([key, weight]) => ({ key, weight }));
  return {
    window,
    countedAt: input.countedAt ?? window.to,
    isRunning,
    variants,
    weightsChangedAt: input.weightsChangedAt ?? null,
    summary: summarise(
      counts,
      window,
      variants.map(({ key }) => key),
    ),
    collection: {
      latestExposureAt: window.to - 1,
      lateIdentities: 0,
      invalidEvents: 0,
      events: 0,
      ...input.collection,
    },
    eventsTtlDays,
  };
}
