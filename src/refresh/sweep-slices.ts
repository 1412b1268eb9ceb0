import type { Database } from "../store/database.ts";
import { type IdRange, listDueExperiments } from "../store/sweep-progress.ts";

/** A slice must fit into one Worker invocation, which has 50 subrequests on the free plan. */
const SLICE_SIZE = 40;
const PAGE_SIZE = 5_000;

/**
 * Returns the ids that a sweep has not covered. It began after the id `start`, has covered up to `after`, and wraps around
 * at the last id.
 */
export function remainingRanges(after: string, start: string): IdRange[] {
  if (after < start) return [{ after, upTo: start }];
  const toTheEnd: IdRange = { after, upTo: null };
  return start === "" ? [toTheEnd] : [toTheEnd, { after: "", upTo: start }];
}

/** Yields the experiments due at `now` in slices, each with the id that it follows, starting after `start`. */
export async function* slicesFrom(database: Database, now: number, start: string) {
  for (const { after: first, upTo } of remainingRanges(start, start)) {
    let ids: string[];
    let after = first;
    do {
      ids = await listDueExperiments(database, now, { after, upTo }, PAGE_SIZE);
      for (let from = 0; from < ids.length; from += SLICE_SIZE) {
        const slice = ids.slice(from, from + SLICE_SIZE);
        yield { after, ids: slice };
        after = slice.at(-1) ?? after;
      }
    } while (ids.length === PAGE_SIZE);
  }
}
