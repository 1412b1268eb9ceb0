import type { Experiment } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import { fitsInRow, MAX_TEXT_BYTES } from "../row-size.ts";
import { bucketsOf, type Window } from "./buckets.ts";
import { checkHealth } from "./check-health.ts";
import type { Health } from "./health.ts";
import { serialise } from "./serialise.ts";
import { type CountedExposures, type Summary, summarise } from "./summary.ts";

/** The minimum size of one variant in one bucket: `"k":0` twice. */
const MIN_BYTES_PER_CELL = 10;

/**
 * Computes the summary and its health from the counts. Fails with `too_large` if it can't fit into a row.
 * @param countedAt the time of the count, in epoch milliseconds
 */
export function computeExposures(
  { counts, collection }: CountedExposures,
  window: Window,
  { variants, endedAt, weightsChangedAt }: Pick<Experiment, "variants" | "endedAt" | "weightsChangedAt">,
  countedAt: number,
  eventsTtlDays: number,
): Result<{ summary: Summary; health: Health }, "too_large"> {
  const configured = variants.map(({ key }) => key);
  // Checked first, because the summary of too many variants could take hundreds of megabytes.
  const keys = new Set(configured);
  for (const count of counts) if (!count.multiple) keys.add(count.variant);
  if (keys.size * bucketsOf(window).count * MIN_BYTES_PER_CELL > MAX_TEXT_BYTES) return failed("too_large");

  const summary = summarise(counts, window, configured);
  const isRunning = endedAt === null || window.to < endedAt;
  const evidence = { window, countedAt, isRunning, variants, weightsChangedAt, summary, collection, eventsTtlDays };
  const health = checkHealth(evidence);
  return ok({ summary, health });
}

/**
 * The `exposures` object as JSON text, with the first health that fits into a row. Fails with `too_large` if none does.
 * @param healths the health with its causes, and without
 */
export function serialiseWithin(
  summary: Summary,
  healths: readonly Health[],
): Result<{ exposures: string; health: Health }, "too_large"> {
  for (const health of healths) {
    const exposures = serialise(summary, health);
    if (fitsInRow(exposures)) return ok({ exposures, health });
  }
  return failed("too_large");
}
