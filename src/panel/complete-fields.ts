import { experimentId } from "../http/schemas.ts";
import { blankMetric, blankVariant, type ExperimentFields, type MetricRow } from "./experiment-fields.ts";

type Row = Readonly<Record<string, string>>;

/** Drops the rows that the visitor left as the form added them, and gives a metric without a key one made of its event. */
export function completeFields({ variants, metrics, ...fields }: ExperimentFields): ExperimentFields {
  const typed = metrics.filter((row) => !isBlank(row, blankMetric));
  const keys = new Set(typed.map(({ key }) => key));
  const completed: MetricRow[] = [];
  for (const row of typed) {
    const key = row.key === "" ? proposeIds(row.event).find((id) => !keys.has(id)) : row.key;
    keys.add(key ?? "");
    completed.push({ ...row, key: key ?? "" });
  }
  return { ...fields, variants: variants.filter((row) => !isBlank(row, blankVariant)), metrics: completed };
}

/** Returns a function that converts the path of an error in completed fields to that of the field as it was typed. */
export function pathsInForm(typed: ExperimentFields): (path: string) => string {
  const kept = { variants: keptRows(typed.variants, blankVariant), metrics: keptRows(typed.metrics, blankMetric) };
  return (path) => {
    const [list, index, field] = path.split(".");
    if ((list !== "variants" && list !== "metrics") || index === undefined) return path;
    return `${list}.${kept[list][Number(index)] ?? index}.${field}`;
  };
}

const keptRows = (rows: readonly Row[], blank: Row) =>
  rows.flatMap((row, index) => (isBlank(row, blank) ? [] : [index]));

function isBlank(row: Row, blank: Row): boolean {
  return Object.entries(row).every(([field, text]) => text === blank[field]);
}

const MAX_PROPOSALS = 25;

/** Ids made of a name: the letters, digits and `. _ -` in it, then the same with a number. */
export function proposeIds(name: string): string[] {
  const ascii = name.normalize("NFKD").replace(/\p{M}+/gu, "");
  const legal = ascii.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^-+|-+$/g, "");
  const id = experimentId.safeParse(legal.slice(0, 64)).success ? legal : "experiment";
  return Array.from({ length: MAX_PROPOSALS }, (_, index) =>
    index === 0 ? id.slice(0, 64) : `${id.slice(0, 61)}-${index + 1}`,
  );
}
