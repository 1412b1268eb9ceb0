import { formatUtc } from "../format.ts";
import { isCountedAs } from "../results/compute-results.ts";
import { parseCounts } from "../results/stored-counts.ts";
import type { ExperimentInput } from "../store/experiments.ts";
import type { StoredSummary } from "../store/summaries.ts";

/** The numbers and history that an edit destroys. The visitor agrees to each before it is saved. */
export type EditCost = {
  /** Names the cost in the form: no spaces. */
  id: string;
  sentence: string;
};

/** The cost that needs `replaceNumbers`. */
export const FINAL_NUMBERS_COST: EditCost = {
  id: "final",
  sentence: "The numbers are final, and this edit replaces them. Events that have expired are no longer counted.",
};

/**
 * Returns the costs of saving the input.
 * @param openedAt the `updatedAt` of the experiment when the visitor opened the form
 */
export function costsOf(summary: StoredSummary, input: ExperimentInput, openedAt: number, now: number): EditCost[] {
  const { experiment, asOf, isFinal, results } = summary;
  const costs: EditCost[] = [];
  if (experiment.updatedAt !== openedAt) {
    const sentence = `Another edit was saved at ${formatUtc(experiment.updatedAt)}, after you opened this form. Saving replaces it.`;
    costs.push({ id: `edit.${experiment.updatedAt}`, sentence });
  }
  const changed = [
    ...(experiment.environmentKey === input.environmentKey ? [] : ["environment"]),
    ...(experiment.featureName === input.featureName ? [] : ["feature"]),
    ...(experiment.startedAt === input.startedAt ? [] : ["start"]),
  ];
  if (changed.length > 0 && asOf !== null) {
    const sentence = `Changing the ${changed.join(" and ")} deletes all numbers and results. They are recounted from the events that ClickHouse still has.`;
    costs.push({ id: "numbers", sentence });
  }
  const isOver = isFinal && experiment.endedAt !== null && experiment.endedAt <= now;
  if (isOver && (changed.length > 0 || experiment.endedAt !== input.endedAt)) costs.push(FINAL_NUMBERS_COST);
  if (changed.length > 0) return costs;
  for (const { metric } of parseCounts(results?.counted ?? null)) {
    const isShown = experiment.metrics.some((each) => each.key === metric.key && isCountedAs(each, metric));
    const isKept = input.metrics.some((each) => each.key === metric.key && isCountedAs(each, metric));
    if (!isShown || isKept) continue;
    costs.push({ id: `results.${metric.key}`, sentence: `The results of the metric ${metric.key} are deleted.` });
  }
  return costs;
}
