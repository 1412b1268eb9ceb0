import type { Experiment } from "../experiment.ts";
import { isoTimeOrNull } from "../http/responses.ts";
import { metricJson } from "../results/metric-json.ts";
import type { FoundFeature } from "../warehouse/discover-features.ts";
import { guessWeights } from "./guess-weights.ts";

// The fields of an experiment's form, as text. They are named as in the API, so that the path of an error leads to its field.

export type VariantRow = { key: string; weight: string };

export type MetricRow = {
  key: string;
  name: string;
  event: string;
  aggregation: string;
  expected_direction: string;
  conversion_window_hours: string;
  lookback_days: string;
};

export type ExperimentFields = {
  id: string;
  name: string;
  environment_key: string;
  feature_name: string;
  started_at: string;
  ended_at: string;
  variants: readonly VariantRow[];
  metrics: readonly MetricRow[];
};

export const blankVariant: VariantRow = { key: "", weight: "" };
export const blankMetric: MetricRow = {
  key: "",
  name: "",
  event: "",
  aggregation: "occurrence",
  expected_direction: "increase",
  conversion_window_hours: "",
  lookback_days: "0",
};

export const newExperiment: ExperimentFields = {
  id: "",
  name: "",
  environment_key: "",
  feature_name: "",
  started_at: "",
  ended_at: "",
  variants: ["control", "treatment"].map((key) => ({ key, weight: "50" })),
  metrics: [],
};

export function fieldsOf(experiment: Experiment): ExperimentFields {
  return {
    id: experiment.id,
    name: experiment.name,
    environment_key: experiment.environmentKey,
    feature_name: experiment.featureName,
    started_at: inputTime(experiment.startedAt),
    ended_at: inputTime(experiment.endedAt),
    variants: experiment.variants.map(({ key, weight }) => ({ key, weight: String(weight) })),
    metrics: experiment.metrics.map((metric) => {
      const { conversion_window_hours: hours, lookback_days: days, ...texts } = metricJson(metric);
      return { ...texts, conversion_window_hours: String(hours ?? ""), lookback_days: String(days) };
    }),
  };
}

/** The fields of a new experiment of a feature in the warehouse. The control comes first. */
export function fieldsFound({
  environmentKey,
  featureName,
  variants,
  firstExposureAt,
}: FoundFeature): ExperimentFields {
  const weights = guessWeights(variants);
  const rows = variants.map(({ key }, index) => ({ key, weight: String(weights[index]) }));
  return {
    ...newExperiment,
    name: featureName,
    environment_key: environmentKey,
    feature_name: featureName,
    started_at: inputTime(Math.floor(firstExposureAt / 60_000) * 60_000),
    variants: [...rows.filter(({ key }) => key === "control"), ...rows.filter(({ key }) => key !== "control")],
  };
}

/** The value of a datetime-local input, in UTC. It leaves out seconds and milliseconds that are 0. */
export function inputTime(time: number | null): string {
  return (isoTimeOrNull(time) ?? "").slice(0, -1).replace(/:00\.000$|\.000$/, "");
}

export function readFields(form: URLSearchParams): ExperimentFields {
  const textOf = (name: string) => form.get(name) ?? "";
  return {
    id: textOf("id").trim(),
    name: textOf("name"),
    environment_key: textOf("environment_key"),
    feature_name: textOf("feature_name"),
    started_at: textOf("started_at"),
    ended_at: textOf("ended_at"),
    variants: rowsOf(form, "variants", blankVariant),
    metrics: rowsOf(form, "metrics", blankMetric),
  };
}

/** Reads the rows of a list. The nth value of each field belongs to the nth row. */
function rowsOf<Row extends Record<string, string>>(form: URLSearchParams, list: string, blank: Row): Row[] {
  const columns = Object.keys(blank).map((field) => ({ field, values: form.getAll(`${list}.${field}`) }));
  const length = Math.max(...columns.map(({ values }) => values.length));
  return Array.from({ length }, (_, index) => ({
    ...blank,
    ...Object.fromEntries(columns.map(({ field, values }) => [field, values[index] ?? ""])),
  }));
}

/** Applies a button like `add=variants` or `remove=metrics.3`; null: another button was pressed. */
export function editRows(fields: ExperimentFields, form: URLSearchParams): ExperimentFields | null {
  const add = form.get("add");
  if (add === "variants") return { ...fields, variants: [...fields.variants, blankVariant] };
  if (add === "metrics") return { ...fields, metrics: [...fields.metrics, blankMetric] };
  const [list, index] = form.get("remove")?.split(".") ?? [];
  if (list === "variants") return { ...fields, variants: fields.variants.toSpliced(Number(index), 1) };
  if (list === "metrics") return { ...fields, metrics: fields.metrics.toSpliced(Number(index), 1) };
  return null;
}

/**
 * The body of a PUT with these fields, yet to be checked. A field whose text the visitor did not change keeps the stored
 * text, which an input of a browser may not show in full.
 */
export function bodyOf(fields: ExperimentFields, stored: Experiment | null) {
  const kept = (text: string, texts: ReadonlyMap<string, string>) => texts.get(text) ?? text;
  const { metrics = [], variants = [] } = stored ?? {};
  const keys = byShownText(variants.map(({ key }) => key));
  const names = byShownText(metrics.map(({ name }) => name));
  const events = byShownText(metrics.map(({ event }) => event));
  const of = (field: "name" | "environmentKey" | "featureName") => byShownText(stored === null ? [] : [stored[field]]);
  return {
    ...(fields.name === "" ? {} : { name: kept(fields.name, of("name")) }),
    environment_key: kept(fields.environment_key, of("environmentKey")),
    feature_name: kept(fields.feature_name, of("featureName")),
    started_at: parseTime(fields.started_at),
    ended_at: parseTime(fields.ended_at),
    variants: fields.variants.map(({ key, weight }) => ({ key: kept(key, keys), weight: numberOf(weight) })),
    metrics: fields.metrics.map(({ name, event, conversion_window_hours: hours, lookback_days: days, ...row }) => ({
      ...row,
      ...(name === "" ? {} : { name: kept(name, names) }),
      event: kept(event, events),
      conversion_window_hours: hours.trim() === "" ? null : numberOf(hours),
      lookback_days: days.trim() === "" ? 0 : numberOf(days),
    })),
  };
}

/** Maps what an input shows to the stored text. If several texts look the same, the first is kept. */
const byShownText = (texts: readonly string[]) => new Map(texts.toReversed().map((text) => [shownText(text), text]));

/** A text as it comes back from an input, which has neither line breaks nor NUL. */
function shownText(text: string): string {
  return text.replace(/[\r\n]/g, "").replaceAll("\0", "\ufffd");
}

/** The value of a datetime-local input as a time in UTC; any other text as it is. */
export function parseTime(text: string): string | null {
  const value = text.trim();
  if (value === "") return null;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(value)) return value;
  return value.length === "2026-06-01T00:00".length ? `${value}:00Z` : `${value}Z`;
}

/** The text as a number, or the text itself if it is not one. */
function numberOf(text: string): number | string {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
