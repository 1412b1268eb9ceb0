export type Variant = {
  key: string;
  /** Relative to the other variants' weights, 0 or more. */
  weight: number;
};

/** The functions that turn an identity's events into its value. */
export const aggregations = ["occurrence", "count", "sum", "mean"] as const;
export type Aggregation = (typeof aggregations)[number];

/** The first two make the metric a goal, the other two a guardrail. */
export const expectedDirections = ["increase", "decrease", "not_increase", "not_decrease"] as const;
export type ExpectedDirection = (typeof expectedDirections)[number];

/** The max number of metrics of an experiment. */
export const MAX_METRICS = 20;

/** A number per identity, computed from its events of one name. */
export type Metric = {
  key: string;
  name: string;
  /** Any event but `$flag_exposure`. */
  event: string;
  aggregation: Aggregation;
  expectedDirection: ExpectedDirection;
  /** Only events this soon after the first exposure count; null: all of them. */
  conversionWindowHours: number | null;
  /** The length of the period before the first exposure that serves as covariate, in days; 0: none. */
  lookbackDays: number;
};

/** The inputs that determine an experiment's numbers. A summary is valid only for the definition behind it. */
export type Definition = {
  environmentKey: string;
  featureName: string;
  variants: readonly Variant[];
  metrics: readonly Metric[];
  /** Epoch milliseconds; null: not planned yet. */
  startedAt: number | null;
  /** Epoch milliseconds, after startedAt; null: no planned end. */
  endedAt: number | null;
};

/** The owner of a definition. The panel's forms belong to the API. */
export const sources = ["api", "flagsmith"] as const;
export type Source = (typeof sources)[number];

export type Experiment = Definition & {
  id: string;
  name: string;
  source: Source;
  createdAt: number;
  updatedAt: number;
  /** The time at which the relative weights last changed while it ran, in epoch milliseconds; null: never. */
  weightsChangedAt: number | null;
};

export type Status = "draft" | "running" | "completed";
export const statuses = ["draft", "running", "completed"] as const satisfies readonly Status[];

/** The status of an experiment at `now`. It runs from startedAt, inclusive, to endedAt, exclusive. */
export function statusAt({ startedAt, endedAt }: Pick<Definition, "startedAt" | "endedAt">, now: number): Status {
  if (startedAt === null || startedAt > now) return "draft";
  return endedAt !== null && endedAt <= now ? "completed" : "running";
}

/** The time of the last change of the weights, if numbers as of this time mix periods with different splits. */
export function splitChangeIn(
  { startedAt, weightsChangedAt }: Pick<Experiment, "startedAt" | "weightsChangedAt">,
  asOf: number | null,
): number | null {
  if (startedAt === null || weightsChangedAt === null || asOf === null) return null;
  return startedAt < weightsChangedAt && weightsChangedAt < asOf ? weightsChangedAt : null;
}

/** An experiment with a start, and the fields that select its events. */
export type StartedExperiment = {
  experimentId: string;
  environmentKey: string;
  featureName: string;
  startedAt: number;
};
