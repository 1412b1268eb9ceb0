import { aggregations, type Experiment, expectedDirections } from "../experiment.ts";
import { formatNumber } from "../format.ts";
import type { InputError } from "../http/problem.ts";
import { describeAggregation, describeDirection } from "../results/format-results.ts";
import type { FoundEvent, ValueKind } from "../warehouse/discover-events.ts";
import type { EditCost } from "./edit-costs.ts";
import type { ExperimentFields, MetricRow, VariantRow } from "./experiment-fields.ts";
import { type FormState, inputField, selectField, sentenceOf } from "./form-fields.ts";
import { type Markup, markup, safeText } from "./markup.ts";

export type ExperimentFormView = FormState & {
  fields: ExperimentFields;
  /** The experiment to edit; null: the form creates one. */
  stored: { experiment: Experiment; hasNumbers: boolean } | null;
  /** The `updatedAt` of the experiment when the form was opened; 0: it is new. */
  openedAt: number;
  isDraft: boolean;
  /** The reason why the form was refused as a whole. */
  notice: string | null;
  /** The costs that the visitor must agree to before the edit is saved. */
  costs: readonly EditCost[];
  /** The count of these fields so far. */
  preview: Markup | null;
  /** A remark on fields that were filled in for the visitor. */
  remark: string | null;
  /** The environment that the visitor's key is bound to; null: any. */
  scope: string | null;
  suggested: { environments: readonly string[]; features: readonly string[]; events: readonly FoundEvent[] };
};

export function experimentForm(view: ExperimentFormView): Markup {
  const { fields, stored, isDraft, suggested, openedAt } = view;
  const action = stored === null ? "/new" : `/experiments/${encodeURIComponent(stored.experiment.id)}/edit`;
  const verb = stored === null ? "Create" : "Save";
  return markup`<h1>${stored === null ? "New experiment" : markup`Edit ${safeText(stored.experiment.name)}`}</h1>
${view.notice === null ? "" : markup`<p class="problem" role="alert">${view.notice}</p>`}
${errorList(view)}
${view.remark === null ? "" : markup`<p class="empty">${view.remark}</p>`}
<form class="edit" method="post" action="${action}">
<button hidden name="do" value="save">${verb}</button>
<input type="hidden" name="opened_at" value="${openedAt}">
${whatIsCounted(view)}
${variantRows(view, fields.variants)}
${metricRows(view, fields.metrics)}
${view.preview ?? ""}
${agreement(view.costs)}
<p class="buttons"><button class="primary" name="do" value="save">${verb}</button>
${isDraft ? markup`<button name="do" value="start">${verb} and start now</button>` : ""}
<button name="do" value="preview"${view.focus === "preview" ? markup` autofocus` : ""}>Preview</button>
<a href="${stored === null ? "/" : `/experiments/${encodeURIComponent(stored.experiment.id)}`}">Cancel</a></p>
${datalist("environments", suggested.environments)}${datalist("features", suggested.features)}
<datalist id="events">${suggested.events.slice(0, 50).map(eventOption)}</datalist>
</form>
${stored === null ? "" : deletion(stored.experiment.id)}`;
}

function datalist(id: string, values: readonly string[]): Markup {
  return markup`<datalist id="${id}">${values.map((value) => markup`<option value="${value}"></option>`)}</datalist>`;
}

function eventOption({ event, count, values }: FoundEvent): Markup {
  return markup`<option value="${event}" label="${event}: ${formatNumber(count)} in 30 days, ${VALUES[values]}"></option>`;
}

const VALUES: Record<ValueKind, string> = {
  numbers: "values are numbers",
  mixed: "some values are numbers",
  texts: "values are texts",
  empty: "without values",
};

function whatIsCounted(view: ExperimentFormView): Markup {
  const { fields, stored, scope } = view;
  const drops = stored?.hasNumbers === true ? "Changing it deletes the numbers counted so far." : undefined;
  const cost = drops === undefined ? {} : { hint: drops };
  return markup`<div class="pair">${inputField(view, { path: "feature_name", label: "Feature", value: fields.feature_name, list: "features", ...cost })}
${inputField(view, { path: "environment_key", label: "Environment", value: fields.environment_key, list: "environments", readOnly: scope !== null, ...cost })}</div>
<div class="pair">${inputField(view, { path: "name", label: "Name", value: fields.name, hint: "Empty: same as the ID." })}
${
  stored === null
    ? inputField(view, {
        path: "id",
        label: "ID",
        value: fields.id,
        hint: "A to Z, a to z, 0 to 9 and . _ - only. Empty: made from the feature.",
      })
    : ""
}</div>
<div class="pair">${inputField(view, {
    path: "started_at",
    label: "Start (UTC)",
    value: fields.started_at,
    type: "datetime-local",
    hint: drops ?? "Exposures count from here on. It may be in the past or in the future. Empty: a draft.",
  })}
${inputField(view, { path: "ended_at", label: "End (UTC)", value: fields.ended_at, type: "datetime-local", hint: "Empty: no planned end." })}</div>`;
}

function variantRows(view: ExperimentFormView, rows: readonly VariantRow[]): Markup {
  return markup`<fieldset id="variants" tabindex="-1"><legend>Variants</legend>
<p class="hint">The keys as the feature serves them. Weights are relative. Without variants, the split is not checked.</p>
${rows.map((row, index) => {
  const path = `variants.${index}`;
  return markup`<div class="row">${inputField(view, { path: `${path}.key`, label: `Variant ${index + 1}`, value: row.key })}
${inputField(view, { path: `${path}.weight`, label: "Weight", value: row.weight, inputMode: "decimal" })}
${removeButton(path, `variant ${index + 1}`)}</div>`;
})}
${addButton(view, "variants", "Add variant")}</fieldset>`;
}

function metricRows(view: ExperimentFormView, rows: readonly MetricRow[]): Markup {
  const hint =
    view.stored?.hasNumbers === true
      ? " Changing the event, aggregation, window or look-back deletes that metric's results, and nothing else."
      : "";
  return markup`<fieldset id="metrics" tabindex="-1"><legend>Metrics</legend>
<p class="hint">What identities do after their first exposure, by events in the same environment.${hint}</p>
${rows.length === 0 ? "" : markup`<p class="hint">An empty key is made from the event. The window ends this many hours after the first exposure; empty: it never ends. Events in the look-back, before the first exposure, reduce the variance of results (CUPED).</p>`}
${rows.map((row, index) => metricRow(view, row, index))}
${addButton(view, "metrics", "Add metric")}</fieldset>`;
}

function metricRow(view: ExperimentFormView, row: MetricRow, index: number): Markup {
  const path = `metrics.${index}`;
  const input = (field: keyof MetricRow, label: string, more: object = {}) =>
    inputField(view, { path: `${path}.${field}`, label, value: row[field], ...more });
  const select = <Value extends string>(
    field: keyof MetricRow,
    label: string,
    values: readonly Value[],
    describe: (value: Value) => string,
  ) =>
    selectField(
      view,
      { path: `${path}.${field}`, label, value: row[field] },
      values.map((value) => [value, describe(value)]),
    );
  const advanced = ["key", "name", "conversion_window_hours", "lookback_days"].map((field) => `${path}.${field}`);
  const isOpen = view.errors.some((error) => advanced.includes(error.path));
  return markup`<div class="metric"><div class="row">${input("event", `Metric ${index + 1}: event`, { list: "events" })}
${select("aggregation", "Counts", aggregations, describeAggregation)}
${select("expected_direction", "Direction", expectedDirections, describeDirection)}
${removeButton(path, `metric ${index + 1}`)}</div>
<details${isOpen ? markup` open` : ""}><summary>Name, window and look-back of metric ${index + 1}</summary>
<div class="row">${input("name", "Name")}${input("key", "Key")}
${input("conversion_window_hours", "Window (hours)", { inputMode: "numeric" })}
${input("lookback_days", "Look-back (days)", { inputMode: "numeric" })}</div></details></div>`;
}

function removeButton(path: string, what: string): Markup {
  return markup`<button name="remove" value="${path}" formnovalidate aria-label="Remove ${what}">Remove</button>`;
}

function addButton({ focus, errors }: FormState, list: string, label: string): Markup {
  const own = errors.filter(({ path }) => path === list);
  return markup`${own.map((error) => markup`<p class="error">${sentenceOf(labelOf(list), error)}</p>`)}
<button name="add" value="${list}" formnovalidate${focus === list ? markup` autofocus` : ""}>${label}</button>`;
}

/** The costs of an edit. It is saved once the visitor agrees to all of them. */
function agreement(costs: readonly EditCost[]): Markup | "" {
  if (costs.length === 0) return "";
  return markup`<div class="problem" id="agreement"><p>This edit has not been saved yet:</p><ul>${costs.map(({ sentence }) => markup`<li>${sentence}</li>`)}</ul>
<label><input type="checkbox" name="agreed" value="${costs.map(({ id }) => id).join(" ")}" autofocus> Save anyway</label></div>`;
}

function errorList({ errors }: FormState): Markup | "" {
  if (errors.length === 0) return "";
  return markup`<div class="problem" role="alert"><p>The experiment was not saved. Correct these fields:</p><ul>${errors.map(
    (error) =>
      markup`<li><a href="#${encodeURIComponent(error.path)}">${sentenceOf(labelOf(error.path), error)}</a></li>`,
  )}</ul></div>`;
}

/** The names of fields and lists in errors, in the order of the page. */
const LABELS: Readonly<Record<string, string>> = {
  feature_name: "Feature",
  environment_key: "Environment",
  name: "Name",
  id: "ID",
  started_at: "Start",
  ended_at: "End",
  variants: "Variant",
  metrics: "Metric",
  key: "key",
  weight: "weight",
  event: "event",
  aggregation: "counts",
  expected_direction: "direction",
  conversion_window_hours: "window",
  lookback_days: "look-back",
};

/** Sorts errors by the order of the page. */
export function inPageOrder(errors: readonly InputError[]): InputError[] {
  const names = Object.keys(LABELS);
  const placeOf = ({ path }: InputError) => names.indexOf(path.replace(/\..*/, ""));
  return errors.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** `metrics.0.event` → `Metric 1: event` */
function labelOf(path: string): string {
  const [list = "", index, field = ""] = path.split(".");
  if (index === undefined)
    return list === "variants" || list === "metrics" ? `The list of ${list}` : (LABELS[list] ?? list);
  return `${LABELS[list] ?? list} ${Number(index) + 1}: ${(LABELS[field] ?? field).toLowerCase()}`;
}

function deletion(id: string): Markup {
  return markup`<details><summary>Delete this experiment</summary>
<form method="post" action="/experiments/${encodeURIComponent(id)}/delete">
<p>Deletes the experiment with its numbers, results and history. Its shared links stop working. Events in ClickHouse stay.</p>
<button class="danger">Delete for good</button></form></details>`;
}
