import {
  aggregations,
  type Experiment,
  expectedDirections,
  MAX_METRICS,
  type Metric,
  type Variant,
} from "../experiment.ts";
import type { ExperimentInput } from "../store/experiments.ts";
import type { Allocation, ListedExperiment } from "./shapes.ts";

// Pure: an experiment of Flagsmith as an experiment here.

export const idOf = (id: number) => `flagsmith-${id}`;

export type Mapped = {
  input: ExperimentInput;
  /** The differences from Flagsmith, and what to do about them: one or two sentences each. */
  notes: string[];
};

export type MappingInput = {
  environmentKey: string;
  listed: ListedExperiment;
  /** The events of the metrics by id, as far as Flagsmith lists them. */
  eventOf: (metricId: number) => string | null | undefined;
  /** The allocations of the rollout; null: it has none. */
  rollout: readonly Allocation[] | null;
  /** The experiment as it is stored. */
  stored: Pick<Experiment, "metrics"> | null;
};

const MAX_NAME = 255;
const MAX_EVENT = 1_000;
const MAX_OPTIONS = 200;

/** Maps an experiment of Flagsmith to one here, with notes on what differs. */
export function mapExperiment({ environmentKey, listed, eventOf, rollout, stored }: MappingInput): Mapped {
  const notes: string[] = [];
  const split = splitOf(listed, rollout);
  if (typeof split === "string") notes.push(`The weights are unknown: ${split}`);
  const id = idOf(listed.id);
  const { startedAt, endedAt } = listed;
  const ends = listed.status === "completed" && startedAt !== null && endedAt !== null;
  return {
    input: {
      id,
      name: cleanName(listed.name) || id,
      environmentKey,
      featureName: listed.featureName,
      variants: typeof split === "string" ? [] : split,
      metrics: metricsOf(listed, eventOf, stored?.metrics ?? [], notes),
      startedAt: listed.status === "created" ? null : startedAt,
      // Flagsmith's times have microseconds. One that starts and ends in the same millisecond still has a window.
      endedAt: ends ? Math.max(endedAt, startedAt + 1) : null,
    },
    notes,
  };
}

/** The variants with their weights, the control first; or the reason why they are unknown. */
function splitOf({ options, status }: ListedExperiment, rollout: readonly Allocation[] | null): Variant[] | string {
  if (options.length > MAX_OPTIONS) return `the feature has more than ${MAX_OPTIONS} options.`;
  const overrides = new Map(rollout?.map(({ optionId, percentage }) => [optionId, percentage]));
  const keys = new Set(["control"]);
  const variants: Variant[] = [];
  for (const { optionId, key, percentage } of options) {
    if (key === null || key === "" || !key.isWellFormed())
      return `the option ${optionId} of the feature has no key. Give it one in Flagsmith.`;
    if (key.length > MAX_NAME) return `the key of the option ${optionId} is too long. Shorten it in Flagsmith.`;
    if (keys.has(key)) return `two variants have the key ${key}. Rename the option ${optionId} in Flagsmith.`;
    keys.add(key);
    variants.push({ key, weight: overrides.get(optionId) ?? percentage });
  }
  const sum = round(variants.reduce((total, { weight }) => total + weight, 0));
  if (sum > 100) return `the options add up to ${sum} %. Lower them in Flagsmith.`;
  // Flagsmith sets the options of an environment to 0 when a rollout begins, so these are not the split.
  if (rollout === null && sum === 0)
    return status === "created"
      ? "the experiment has no rollout yet."
      : "the experiment has no rollout. Set one in Flagsmith.";
  return [{ key: "control", weight: round(100 - sum) }, ...variants];
}

/** Percentages are binary fractions, whose sum may be off in the last digits. */
const round = (percentage: number) => Math.round(percentage * 1e6) / 1e6;

function metricsOf(
  { metrics }: ListedExperiment,
  eventOf: MappingInput["eventOf"],
  stored: readonly Metric[],
  notes: string[],
): Metric[] {
  const mapped = metrics.flatMap(({ metricId, name, aggregation, expectedDirection }): Metric[] => {
    const key = `m${metricId}`;
    const leaveOut = (reason: string) => {
      notes.push(`The metric ${key} is left out: ${reason}`);
      return [];
    };
    // Flagsmith lists no deleted metrics, but completed experiments still have them.
    const event = eventOf(metricId) ?? stored.find((metric) => metric.key === key)?.event;
    if (event === undefined) return leaveOut("Flagsmith does not list its event.");
    if (event === "$flag_exposure") return leaveOut("its event is that of exposures. Choose another one in Flagsmith.");
    if (event === "" || event.length > MAX_EVENT || !event.isWellFormed() || event.includes("\0"))
      return leaveOut("its event name is empty, too long or contains invalid characters. Change it in Flagsmith.");
    const known = aggregations.find((each) => each === aggregation);
    const direction = expectedDirections.find((each) => each === expectedDirection);
    if (known === undefined || direction === undefined)
      return leaveOut("this version does not know its aggregation or direction. Update edge-exposures.");
    return [
      {
        key,
        name: cleanName(name) || key,
        event,
        aggregation: known,
        expectedDirection: direction,
        conversionWindowHours: null,
        lookbackDays: 0,
      },
    ];
  });
  const unique = mapped.filter(({ key }, index) => mapped.findIndex((other) => other.key === key) === index);
  if (unique.length > MAX_METRICS)
    notes.push(`Only the first ${MAX_METRICS} of ${unique.length} metrics are counted. Detach others in Flagsmith.`);
  return unique.slice(0, MAX_METRICS);
}

function cleanName(name: string): string {
  return name.replaceAll("\0", "").slice(0, MAX_NAME).toWellFormed();
}
