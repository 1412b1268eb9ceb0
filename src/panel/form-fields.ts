import type { InputError } from "../http/problem.ts";
import { type Markup, markup } from "./markup.ts";

/** A labelled field. Its id is the path of its errors; its name is that without the number of its row. */
export type Field = {
  path: string;
  label: string;
  value: string;
  hint?: string | Markup;
  type?: "datetime-local";
  inputMode?: "decimal" | "numeric";
  /** The id of a datalist. */
  list?: string;
  readOnly?: boolean;
};

/** The errors and the focus of a form. */
export type FormState = {
  errors: readonly InputError[];
  /** The path of the field that gets the focus; null: none. */
  focus: string | null;
};

export function inputField(state: FormState, field: Field): Markup {
  const { path, label, value, hint, type, inputMode, list, readOnly = false } = field;
  const own = state.errors.filter((error) => error.path === path);
  // A datetime-local input shows nothing for a value in another format, so a text input shows it.
  const typed = type === "datetime-local" && !/^$|^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value) ? undefined : type;
  const autocomplete = list === undefined ? markup` autocomplete="off"` : markup` list="${list}"`;
  return markup`<div class="field"><label for="${path}">${label}</label>
<input id="${path}" name="${nameOf(path)}" value="${value}"${typed && markup` type="${typed}" step="any"`}${inputMode && markup` inputmode="${inputMode}"`}${autocomplete}${readOnly ? markup` readonly` : ""}${described(state, path, own.length > 0, hint !== undefined)}>
${hint === undefined ? "" : markup`<p class="hint" id="${path}.hint">${hint}</p>`}${errorsOf(path, label, own)}</div>`;
}

export function selectField(
  state: FormState,
  { path, label, value, hint }: Pick<Field, "path" | "label" | "value" | "hint">,
  options: readonly (readonly [value: string, label: string])[],
): Markup {
  const own = state.errors.filter((error) => error.path === path);
  return markup`<div class="field"><label for="${path}">${label}</label>
<select id="${path}" name="${nameOf(path)}"${described(state, path, own.length > 0, hint !== undefined)}>${options.map(
    ([option, text]) => markup`<option value="${option}"${option === value ? markup` selected` : ""}>${text}</option>`,
  )}</select>
${hint === undefined ? "" : markup`<p class="hint" id="${path}.hint">${hint}</p>`}${errorsOf(path, label, own)}</div>`;
}

/** `metrics.0.event` → `metrics.event` */
const nameOf = (path: string) => path.replace(/\.\d+\./, ".");

function described({ focus }: FormState, path: string, isInvalid: boolean, hasHint: boolean): Markup {
  const ids = [...(hasHint ? [`${path}.hint`] : []), ...(isInvalid ? [`${path}.error`] : [])];
  return markup`${isInvalid ? markup` aria-invalid="true"` : ""}${
    ids.length === 0 ? "" : markup` aria-describedby="${ids.join(" ")}"`
  }${focus === path ? markup` autofocus` : ""}`;
}

function errorsOf(path: string, label: string, errors: readonly InputError[]): Markup | "" {
  if (errors.length === 0) return "";
  return markup`<p class="error" id="${path}.error">${errors.map((error) => `${sentenceOf(label, error)} `)}</p>`;
}

/** A message completes a sentence that starts with the name of its field. */
export function sentenceOf(label: string, { message }: InputError): string {
  return `${label.replace(" (UTC)", "")} ${message.replace("a started_at", "a start").replace("started_at", "the start")}.`;
}
