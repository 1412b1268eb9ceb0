import * as z from "zod/mini";

// The answers of Flagsmith's API, as api/experimentation/serializers.py and api/features/multivariate/serializers.py of
// Flagsmith 2.265.0 write them. Unknown fields are ignored.

export type Allocation = { optionId: number; percentage: number };

/** An experiment in Flagsmith's list. */
export type ListedExperiment = {
  id: number;
  name: string;
  featureName: string;
  /** In the order of their ids. `percentage` is that of the environment, outside the experiment's rollout. */
  options: readonly (Allocation & { key: string | null })[];
  /** In the order in which they were attached. */
  metrics: readonly { metricId: number; name: string; aggregation: string; expectedDirection: string }[];
  status: "created" | "running" | "paused" | "completed";
  /** Epoch milliseconds. */
  startedAt: number | null;
  endedAt: number | null;
  /** Flagsmith's own text. A change of the rollout or of a metric does not change it. */
  updatedAt: string;
};

/** An experiment that the list contains in a shape that this version can't read. */
export type UnreadableExperiment = { id: number; unreadable: true };

/** Schemas are built on first use, because most isolates need none. */
export const shapes = lazily(() => {
  const id = z.int().check(z.positive());
  const percentage = z.number().check(z.minimum(0), z.maximum(100));
  const name = z
    .string()
    .check(z.refine((text) => text !== "" && text.length <= 2000 && text.isWellFormed() && !text.includes("\0")));
  const time = z.pipe(
    z.nullable(z.string()),
    z.transform((value: string | null, { issues }): number | null => {
      const time = value === null ? null : Date.parse(value);
      if (time === null || (time >= 0 && time < Date.UTC(2300, 0))) return time;
      issues.push({ code: "custom", input: value, message: "is not a time" });
      return z.NEVER;
    }),
  );
  const allocation = z.object({ multivariate_feature_option: id, percentage_allocation: percentage });
  const option = z.object({ id, key: z.nullish(z.string()), default_percentage_allocation: percentage });
  const metric = z.object({
    id,
    metric: id,
    metric_name: z.string(),
    aggregation: z.string(),
    expected_direction: z.string(),
  });
  return {
    page: z.object({
      count: z.int().check(z.nonnegative()),
      next: z.nullable(z.string()),
      results: z.array(z.unknown()),
    }),
    withId: z.object({ id }),
    experiment: z.object({
      id,
      name: z.string(),
      status: z.enum(["created", "running", "paused", "completed"]),
      feature: z.object({ name, multivariate_options: z.array(option) }),
      metrics: z.array(metric),
      started_at: time,
      ended_at: time,
      updated_at: z.string(),
    }),
    definition: z.object({ definition: z.object({ event: z.string() }) }),
    detail: z.object({
      experiment_rollout: z.nullable(z.object({ multivariate_feature_state_values: z.array(allocation) })),
    }),
  };
});

function lazily<Value>(create: () => Value): () => Value {
  let value: Value | null = null;
  return () => {
    value ??= create();
    return value;
  };
}

const byId = (a: { id: number }, b: { id: number }) => a.id - b.id;

/** Reads an entry of the list. Flagsmith does not order options and metrics. Null: it has no id. */
export function readExperiment(entry: unknown): ListedExperiment | UnreadableExperiment | null {
  const parsed = shapes().experiment.safeParse(entry);
  if (!parsed.success) {
    const named = shapes().withId.safeParse(entry);
    return named.success ? { id: named.data.id, unreadable: true } : null;
  }
  const { id, name, status, feature, metrics, started_at, ended_at, updated_at } = parsed.data;
  return {
    id,
    name,
    status,
    featureName: feature.name,
    startedAt: started_at,
    endedAt: ended_at,
    updatedAt: updated_at,
    options: feature.multivariate_options.toSorted(byId).map((option) => {
      return { optionId: option.id, key: option.key ?? null, percentage: option.default_percentage_allocation };
    }),
    metrics: metrics.toSorted(byId).map((metric) => ({
      metricId: metric.metric,
      name: metric.metric_name,
      aggregation: metric.aggregation,
      expectedDirection: metric.expected_direction,
    })),
  };
}

/** Reads an entry of the list of metrics: its id, and the event of its definition. Null: it has no id. */
export function readMetricEvent(entry: unknown): { id: number; event: string | null } | null {
  const named = shapes().withId.safeParse(entry);
  if (!named.success) return null;
  return { id: named.data.id, event: shapes().definition.safeParse(entry).data?.definition.event ?? null };
}

/** Reads the rollout of an experiment's detail. `undefined`: the detail has another shape. */
export function readRollout(detail: unknown): Allocation[] | null | undefined {
  const parsed = shapes().detail.safeParse(detail);
  if (!parsed.success) return undefined;
  const values = parsed.data.experiment_rollout?.multivariate_feature_state_values.map((value) => {
    return { optionId: value.multivariate_feature_option, percentage: value.percentage_allocation };
  });
  return values ?? null;
}
