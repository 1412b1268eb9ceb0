import * as z from "zod/mini";
import { aggregations, expectedDirections, MAX_METRICS, type Metric, sources, statuses } from "../experiment.ts";
import { countsText, readCountsJson } from "../results/stored-counts.ts";
import { roles } from "../store/api-keys.ts";
import type { ExperimentInput } from "../store/experiments.ts";

// Schemas of the input. A message completes a sentence that starts with the path: "variants.0.key must not be empty".

const LATEST = Date.UTC(2300, 0);
const OBJECT_RULE = "must be an object";

const text = z.string({ error: "must be a string" }).check(
  z.minLength(1, "must not be empty"),
  z.refine((value) => value.isWellFormed(), "must be valid Unicode, without lone surrogates"),
);

/** Text that SQLite stores unchanged on every runtime. */
const name = text.check(z.refine((value) => !value.includes("\0"), "must not contain a NUL character"));

const TIME_RULE = "must be an ISO 8601 time in UTC, like 2026-06-01T00:00:00.000Z";
const instant = z
  .pipe(
    z.iso
      .datetime({ error: TIME_RULE })
      .check(z.refine((value) => !/\.\d{4,}/.test(value), "must not be more precise than milliseconds")),
    z.transform((value: string) => Date.parse(value)),
  )
  .check(z.refine((value) => value >= 0 && value < LATEST, "must be a time from 1970 to 2299"));
const optionalTime = z.optional(z.nullable(instant));
const time = z._default(z.nullable(instant), null);

const KEY_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ -";
const key = z.string({ error: KEY_RULE }).check(z.regex(/^[A-Za-z0-9._-]{1,64}$/, KEY_RULE));

/** Excludes `.` and `..`, because clients remove them from URLs. */
const ID_RULE = `${KEY_RULE}, and neither . nor ..`;
export const experimentId = z.string({ error: ID_RULE }).check(z.regex(/^(?!\.\.?$)[A-Za-z0-9._-]{1,64}$/, ID_RULE));

function hasUniqueKeys(list: readonly { key: string }[], context: z.core.$RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { key }] of list.entries()) {
    if (seen.has(key)) context.addIssue({ code: "custom", path: [index, "key"], message: "must be unique" });
    seen.add(key);
  }
}

const weight = z.number({ error: "must be a number" }).check(z.minimum(0, "must not be negative"));
const variant = z.strictObject({ key: text, weight }, { error: "must be an object with key and weight" });
const variants = z._default(
  z.array(variant, { error: "must be an array of variants" }).check(z.superRefine(hasUniqueKeys)),
  [],
);

const MAX_WINDOW_HOURS = 8_760;
const MAX_LOOKBACK_DAYS = 90;

const oneOf = <Values extends readonly string[]>(values: Values) =>
  z.enum(values, { error: `must be one of ${values.join(", ")}` });
const WINDOW_RULE = `must be null, or a whole number from 1 to ${MAX_WINDOW_HOURS}`;
const LOOKBACK_RULE = `must be a whole number from 0 to ${MAX_LOOKBACK_DAYS}`;
const wholeNumber = (min: number, max: number, error: string) =>
  z.number({ error }).check(z.int(error), z.minimum(min, error), z.maximum(max, error));

const metric = z.strictObject(
  {
    key,
    name: z.optional(name),
    event: name.check(z.refine((event) => event !== "$flag_exposure", "must not be the event of exposures")),
    aggregation: oneOf(aggregations),
    expected_direction: oneOf(expectedDirections),
    conversion_window_hours: z._default(z.nullable(wholeNumber(1, MAX_WINDOW_HOURS, WINDOW_RULE)), null),
    lookback_days: z._default(wholeNumber(0, MAX_LOOKBACK_DAYS, LOOKBACK_RULE), 0),
  },
  { error: "must be an object with key, event, aggregation and expected_direction" },
);

const metrics = z._default(
  z
    .array(metric, { error: "must be an array of metrics" })
    .check(z.maxLength(MAX_METRICS, `must not have more than ${MAX_METRICS} metrics`), z.superRefine(hasUniqueKeys)),
  [],
);

const definition = {
  name: z.optional(name),
  environment_key: name,
  feature_name: name,
  variants,
  metrics,
};

type Times = { started_at?: number | null | undefined; ended_at?: number | null | undefined };

function endsAfterStart({ started_at = null, ended_at }: Times, context: z.core.$RefinementCtx): void {
  // Zod runs this even if a time is invalid. That time has its own error.
  if (typeof ended_at !== "number" || (started_at !== null && typeof started_at !== "number")) return;
  const message = started_at === null ? "needs a started_at before it" : "must be after started_at";
  if (started_at === null || ended_at <= started_at) context.addIssue({ code: "custom", path: ["ended_at"], message });
}

/** The body of a PUT. It shows which times the client left out. */
export const experimentBody = z
  .strictObject({ ...definition, started_at: optionalTime, ended_at: optionalTime }, { error: OBJECT_RULE })
  .check(z.superRefine(endsAfterStart));

const FLAG_RULE = "must be true or false";
export const editQuery = z.strictObject({
  replace_numbers: z.pipe(
    z._default(z.enum(["true", "false"], { error: FLAG_RULE }), "false"),
    z.transform((value: "true" | "false") => value === "true"),
  ),
});

/** Converts the body of a PUT, or a line of an export. A time that is left out is null. */
export function experimentInput(id: string, body: z.output<typeof experimentBody>): ExperimentInput {
  return {
    id,
    name: body.name ?? id,
    environmentKey: body.environment_key,
    featureName: body.feature_name,
    variants: body.variants,
    metrics: body.metrics.map(metricOf),
    startedAt: body.started_at ?? null,
    endedAt: body.ended_at ?? null,
  };
}

function metricOf({ key, name, event, aggregation, ...rest }: z.output<typeof metric>): Metric {
  return {
    key,
    name: name ?? key,
    event,
    aggregation,
    expectedDirection: rest.expected_direction,
    conversionWindowHours: rest.conversion_window_hours,
    lookbackDays: rest.lookback_days,
  };
}

/** The format of the lines of an export. Lines of earlier versions have none, and the same fields. */
export const EXPORT_FORMAT = 1;

/** The counts behind results. The figures are computed from them. */
const exportedResults = z.strictObject(
  {
    as_of: time,
    computed_at: time,
    last_error_at: time,
    counted: z.transform((value: unknown, { issues }) => {
      try {
        const text = countsText(readCountsJson(value));
        if (text !== null) return text;
        issues.push({ code: "custom", input: value, message: "is too large" });
      } catch {
        issues.push({ code: "custom", input: value, message: "must be unchanged from the export" });
      }
      return z.NEVER;
    }),
  },
  { error: OBJECT_RULE },
);

/** One line of an export. `restoreExposures` checks its numbers. */
export const exportedExperiment = z
  .strictObject(
    {
      format: z.optional(
        z.literal(EXPORT_FORMAT, { error: `must be ${EXPORT_FORMAT}, the only format that this version reads` }),
      ),
      id: experimentId,
      source: z._default(oneOf(sources), "api"),
      ...definition,
      started_at: time,
      ended_at: time,
      created_at: instant,
      updated_at: instant,
      weights_changed_at: time,
      as_of: time,
      computed_at: time,
      last_error_at: time,
      is_final: z._default(z.boolean({ error: FLAG_RULE }), false),
      exposures: z._default(z.unknown(), null),
      results: z._default(z.nullable(exportedResults), null),
    },
    { error: OBJECT_RULE },
  )
  .check(z.superRefine(endsAfterStart));

export const importQuery = z.strictObject({
  on_error: z._default(z.enum(["refuse", "skip"], { error: "must be refuse or skip" }), "refuse"),
});

export const apiKeyBody = z.strictObject(
  {
    name,
    environment_key: z._default(z.nullable(name), null),
    role: oneOf(roles),
    expires_at: time,
  },
  { error: OBJECT_RULE },
);

const LIMIT_RULE = "must be a whole number from 1 to 200";
export const pageQuery = z.strictObject({
  limit: z._default(
    z
      .pipe(z.string().check(z.regex(/^\d{1,3}$/, LIMIT_RULE)), z.transform(Number))
      .check(z.refine((value) => value >= 1 && value <= 200, LIMIT_RULE)),
    50,
  ),
  cursor: z.optional(key),
});

export const listQuery = z.strictObject({
  environment_key: z.optional(z.string()),
  status: z.optional(oneOf(statuses)),
  ...pageQuery.shape,
});

export const eventsQuery = z.strictObject({ environment_key: name });

export const refreshWebhookBody = z.union(
  [
    z.strictObject({ experiment_id: experimentId }),
    z.strictObject({ environment_key: text, feature_name: z.optional(text) }),
  ],
  { error: "must contain experiment_id, or environment_key and optionally feature_name, and nothing else" },
);
