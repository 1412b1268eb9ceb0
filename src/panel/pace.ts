import { DAY, HOUR } from "../exposures/buckets.ts";
import type { Exposures } from "./parse-exposures.ts";

/**
 * The new identities a day: those of the last complete day, or of the complete hours within the last 24. Null while no
 * bucket is complete, or if there were none.
 */
export function identitiesPerDay({ buckets, granularity, variants }: Exposures, asOf: number): number | null {
  const length = granularity === "hour" ? HOUR : DAY;
  const complete = buckets.filter((start) => start + length <= asOf).length;
  const count = Math.min(complete, DAY / length);
  const added = variants.flatMap((variant) => variant.added.slice(complete - count, complete));
  const sum = added.reduce((total, each) => total + each, 0);
  return sum === 0 ? null : (sum * DAY) / (count * length);
}
