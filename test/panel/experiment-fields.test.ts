import { describe, expect, it } from "vitest";
import type { Experiment } from "../../src/experiment.ts";
import { experimentBody, experimentInput } from "../../src/http/schemas.ts";
import { completeFields, pathsInForm, proposeIds } from "../../src/panel/complete-fields.ts";
import {
  blankMetric,
  bodyOf,
  editRows,
  fieldsOf,
  inputTime,
  newExperiment,
  readFields,
} from "../../src/panel/experiment-fields.ts";

const START = Date.UTC(2026, 5, 1, 9, 30);
const hostile = '<b>\r\n"\u202e\0';

const experiment: Experiment = {
  id: "checkout",
  name: `Checkout ${hostile.replace("\0", "")}`,
  createdAt: 1,
  updatedAt: 2,
  weightsChangedAt: 3,
  source: "api",
  environmentKey: "env\nkey",
  featureName: "checkout_button",
  startedAt: START + 1234,
  endedAt: null,
  variants: [
    { key: hostile, weight: 1e-7 },
    { key: "treatment", weight: 33.3 },
  ],
  metrics: [
    {
      key: "purchase",
      name: "Purchases\n",
      event: "purchase\r",
      aggregation: "sum",
      expectedDirection: "decrease",
      conversionWindowHours: 24,
      lookbackDays: 14,
    },
    {
      key: "error",
      name: "error",
      event: "error",
      aggregation: "count",
      expectedDirection: "not_increase",
      conversionWindowHours: null,
      lookbackDays: 0,
    },
  ],
};

/** Sends the fields as a browser does, which drops line breaks and NUL. */
function submitted(fields: ReturnType<typeof fieldsOf>): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") form.append(name, shown(value));
    else
      for (const row of value)
        for (const [field, text] of Object.entries(row)) form.append(`${name}.${field}`, shown(text));
  }
  return form;
}
const shown = (text: string) => text.replace(/[\r\n]/g, "").replaceAll("\0", "\ufffd");

describe("the form of an experiment", () => {
  it("returns every stored value unchanged, though an input cannot show it", () => {
    const fields = completeFields(readFields(submitted(fieldsOf(experiment))));
    const { createdAt: _, updatedAt: __, weightsChangedAt: ___, source: ____, ...input } = experiment;
    expect(experimentInput(fields.id, experimentBody.parse(bodyOf(fields, experiment)))).toEqual(input);
  });

  it("returns a draft without metrics and variants unchanged", () => {
    const draft: Experiment = { ...experiment, startedAt: null, variants: [], metrics: [] };
    const fields = completeFields(readFields(submitted(fieldsOf(draft))));
    const { createdAt: _, updatedAt: __, weightsChangedAt: ___, source: ____, ...input } = draft;
    expect(experimentInput(fields.id, experimentBody.parse(bodyOf(fields, draft)))).toEqual(input);
  });

  it.each([
    { time: START, text: "2026-06-01T09:30" },
    { time: START + 12_000, text: "2026-06-01T09:30:12" },
    { time: START + 12_300, text: "2026-06-01T09:30:12.300" },
    { time: START + 7, text: "2026-06-01T09:30:00.007" },
    { time: null, text: "" },
  ])("shows the time $time as $text, and reads it back", ({ time, text }) => {
    expect(inputTime(time)).toBe(text);
    const body = bodyOf({ ...newExperiment, environment_key: "e", feature_name: "f", started_at: text }, null);
    expect(experimentBody.parse(body).started_at).toBe(time);
  });

  it.each([
    { field: "started_at", fields: { started_at: "tomorrow" } },
    { field: "ended_at", fields: { started_at: "2026-06-02T00:00", ended_at: "2026-06-01T00:00" } },
    { field: "environment_key", fields: { environment_key: "" } },
    {
      field: "variants.1.weight",
      fields: {
        variants: [
          { key: "a", weight: "1" },
          { key: "b", weight: "half" },
        ],
      },
    },
    { field: "variants.0.weight", fields: { variants: [{ key: "a", weight: " " }] } },
    {
      field: "variants.1.key",
      fields: {
        variants: [
          { key: "a", weight: "1" },
          { key: "a", weight: "1" },
        ],
      },
    },
    { field: "variants.0.weight", fields: { variants: [{ key: "a", weight: "Infinity" }] } },
    { field: "metrics.0.event", fields: { metrics: [{ ...blankMetric, name: "Name", key: "k" }] } },
    { field: "metrics.0.event", fields: { metrics: [{ ...blankMetric, conversion_window_hours: "24" }] } },
    { field: "metrics.0.event", fields: { metrics: [{ ...blankMetric, aggregation: "sum" }] } },
    { field: "metrics.0.event", fields: { metrics: [{ ...blankMetric, lookback_days: "14" }] } },
    { field: "variants.0.key", fields: { variants: [{ key: "", weight: "50" }] } },
    { field: "metrics.0.aggregation", fields: { metrics: [{ ...blankMetric, event: "e", aggregation: "x" }] } },
    { field: "metrics.0.lookback_days", fields: { metrics: [{ ...blankMetric, event: "e", lookback_days: "91" }] } },
    {
      field: "metrics.0.conversion_window_hours",
      fields: { metrics: [{ ...blankMetric, event: "e", conversion_window_hours: "1.5" }] },
    },
  ])("leaves it to the API's schema to reject $field: $fields", ({ field, fields }) => {
    const all = completeFields({ ...newExperiment, environment_key: "e", feature_name: "f", ...fields });
    const { error } = experimentBody.safeParse(bodyOf(all, null));
    expect(error?.issues.map(({ path }) => path.join("."))).toEqual([field]);
  });

  it("drops empty rows, and names a metric after its event", () => {
    const metrics = [blankMetric, ...["sign up", "sign-up", "é"].map((event) => ({ ...blankMetric, event }))];
    const variants = [
      { key: "", weight: "" },
      { key: "a", weight: "1" },
    ];
    const fields = completeFields({ ...newExperiment, variants, metrics });
    expect(fields.metrics.map(({ key }) => key)).toEqual(["sign-up", "sign-up-2", "e"]);
    expect(fields.variants).toEqual([{ key: "a", weight: "1" }]);
  });

  it("names a metric by no key that another row has", () => {
    const metrics = [
      { ...blankMetric, event: "buy" },
      { ...blankMetric, event: "sell", key: "buy" },
    ];
    const keys = completeFields({ ...newExperiment, metrics }).metrics.map(({ key }) => key);
    expect(keys).toEqual(["buy-2", "buy"]);
  });

  it.each([
    { path: "variants.1.key", shown: "variants.2.key" },
    { path: "variants.0.weight", shown: "variants.0.weight" },
    { path: "metrics.0.event", shown: "metrics.1.event" },
    { path: "metrics.9.event", shown: "metrics.9.event" },
    { path: "metrics", shown: "metrics" },
    { path: "id", shown: "id" },
    { path: "preview", shown: "preview" },
  ])("shows an error at $path in $shown, because of the empty rows before it", ({ path, shown }) => {
    const variants = ["a", "", "b"].map((key) => ({ key, weight: key }));
    const metrics = [blankMetric, { ...blankMetric, name: "Name" }];
    expect(pathsInForm({ ...newExperiment, variants, metrics })(path)).toBe(shown);
  });

  it("adds and removes rows without a script", () => {
    const press = (button: string) => editRows(newExperiment, new URLSearchParams(button));
    expect(press("add=variants")?.variants).toHaveLength(3);
    expect(press("add=metrics")?.metrics).toEqual([blankMetric]);
    expect(press("remove=variants.0")?.variants.map(({ key }) => key)).toEqual(["treatment"]);
    expect(press("remove=variants.9")?.variants).toHaveLength(2);
    expect(press("do=save")).toBeNull();
  });

  it.each([
    { name: "checkout_button", id: "checkout_button" },
    { name: " Größe & Farbe ", id: "Gro-e-Farbe" },
    { name: "\u202e日本", id: "experiment" },
    { name: ".", id: "experiment" },
    { name: " .. ", id: "experiment" },
    { name: "...", id: "..." },
    { name: "x".repeat(100), id: "x".repeat(64) },
  ])("proposes an id for $name", ({ name, id }) => {
    const ids = proposeIds(name);
    expect(ids[0]).toBe(id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const each of ids) expect(each).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  });
});
