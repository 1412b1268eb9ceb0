// Entries as Flagsmith 2.265.0 serialises them: api/experimentation/serializers.py, ExperimentListSerializer and
// MetricSerializer.

type Option = { id: number; key: string | null; default_percentage_allocation: number };
type AttachedMetric = { metric: number; expected_direction: string; aggregation?: string };

export type EntryInput = {
  name?: string;
  feature?: string;
  status?: string;
  options?: Option[];
  metrics?: AttachedMetric[];
  started_at?: string | null;
  ended_at?: string | null;
  updated_at?: string;
};

export const options = (...allocations: number[]): Option[] =>
  allocations.map((default_percentage_allocation, index) => {
    return { id: index + 1, key: `treatment-${index + 1}`, default_percentage_allocation };
  });

/** An entry of the list of experiments. */
export function entry(id: number, input: EntryInput = {}) {
  const started = "2026-06-01T00:00:00.123456Z";
  return {
    id,
    feature: {
      id: 100 + id,
      name: input.feature ?? `feature-${id}`,
      type: "MULTIVARIATE",
      initial_value: "off",
      multivariate_options: (input.options ?? options(50)).map((option) => ({
        uuid: crypto.randomUUID(),
        type: "unicode",
        integer_value: null,
        string_value: "on",
        boolean_value: null,
        ...option,
      })),
    },
    name: input.name ?? `Experiment ${id}`,
    hypothesis: "It gets better.",
    status: input.status ?? "running",
    metrics: (input.metrics ?? []).map(({ metric, aggregation = "mean", expected_direction }, index) => {
      const join = { id: 1000 * id + index, metric, metric_name: `Metric ${metric}`, aggregation };
      return { ...join, direction: "up", expected_direction, created_at: started };
    }),
    created_at: started,
    updated_at: input.updated_at ?? started,
    started_at: input.started_at === undefined ? started : input.started_at,
    ended_at: input.ended_at ?? null,
  };
}

/** An entry of the list of metrics. */
export function metricEntry(id: number, event: string, aggregation = "mean") {
  const times = { created_at: "2026-06-01T00:00:00Z", updated_at: "2026-06-01T00:00:00Z" };
  const names = { id, name: `Metric ${id}`, description: "", aggregation, direction: "up" };
  return { ...names, definition: { version: 1, event }, experiments: [], ...times };
}
