import * as z from "zod";
import { aggregations, expectedDirections, type Metric, statuses } from "../experiment.ts";
import { countsText, readCountsJson } from "../results/stored-counts.ts";
import { roles } from "../store/api-keys.ts";
import type { ExperimentInput } from "../store/experiments.ts";

// Schemas of the input. A message completes a sentence that starts with the path: "variants.0.key must not be empty".

const LATEST = Date.UTC(2300, 0);

const text = z
  .string({ error: "must be text" })
  .min(1, "must not be empty")
  .refine((value) => value.isWellFormed(), "must be valid Unicode, without lone surrogates");

/** Text that SQLite stores unchanged on every runtime. */
const name = text.refine((value) => !value.includes("\0"), "must not contain a NUL character");

const TIME_RULE = "must be an ISO 8601 time in UTC, like 2026-06-01T00:00:00.000Z";
const instant = z.iso
  .datetime({ error: TIME_RULE })
  .refine((value) => !/\.\d{4,}/.test(value), "must not be more precise than milliseconds")
  .transform((value) => Date.parse(value))
  .refine((value) => value >= 0 && value < LATEST, "must be a time from 1970 to 2299");
const optionalTime = instant.nullable().optional();
const time = instant.nullable().default(null);

const ID_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ -";
export const experimentId = z.string({ error: ID_RULE }).regex(/^[A-Za-z0-9._-]{1,64}$/, ID_RULE);

function hasUniqueKeys(list: readonly { key: string }[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { key }] of list.entries()) {
    if (seen.has(key)) context.addIssue({ code: "custom", path: [index, "key"], message: "must be unique" });
    seen.add(key);
  }
}

const variants = z
  .array(
    z.strictObject(
      { key: text, weight: z.number({ error: "must be a number" }).min(0, "must not be negative") },
      { error: "must be an object with key and weight" },
    ),
    { error: "must be a list of variants" },
  )
  .superRefine(hasUniqueKeys)
  .default([]);

const MAX_METRICS = 20;
const MAX_WINDOW_HOURS = 8_760;
const MAX_LOOKBACK_DAYS = 90;

const oneOf = <Values extends readonly string[]>(values: Values) =>
  z.enum(values, { error: `must be one of ${values.join(", ")}` });
const WINDOW_RULE = `must be null, or a whole number from 1 to ${MAX_WINDOW_HOURS}`;
const LOOKBACK_RULE = `must be a whole number from 0 to ${MAX_LOOKBACK_DAYS}`;
const wholeNumber = (min: number, max: number, error: string) =>
  z.number({ error }).int(error).min(min, error).max(max, error);

const metric = z.strictObject(
  {
    key: experimentId,
    name: name.optional(),
    event: name.refine((event) => event !== "$flag_exposure", "must not be the event of exposures"),
    aggregation: oneOf(aggregations),
    expected_direction: oneOf(expectedDirections),
    conversion_window_hours: wholeNumber(1, MAX_WINDOW_HOURS, WINDOW_RULE).nullable().default(null),
    lookback_days: wholeNumber(0, MAX_LOOKBACK_DAYS, LOOKBACK_RULE).default(0),
  },
  { error: "must be an object with key, event, aggregation and expected_direction" },
);

const metrics = z
  .array(metric, { error: "must be a list of metrics" })
  .max(MAX_METRICS, `must not have more than ${MAX_METRICS} metrics`)
  .superRefine(hasUniqueKeys)
  .default([]);

const definition = {
  name: name.optional(),
  environment_key: name,
  feature_name: name,
  variants,
  metrics,
};

type Times = { started_at?: number | null | undefined; ended_at?: number | null | undefined };

function endsAfterStart({ started_at = null, ended_at }: Times, context: z.RefinementCtx): void {
  // Zod runs this even if a time is invalid. That time has its own error.
  if (typeof ended_at !== "number" || (started_at !== null && typeof started_at !== "number")) return;
  const message = started_at === null ? "needs a started_at before it" : "must be after started_at";
  if (started_at === null || ended_at <= started_at) context.addIssue({ code: "custom", path: ["ended_at"], message });
}

/** The body of a PUT. It shows which times the client left out. */
export const experimentBody = z
  .strictObject({ ...definition, started_at: optionalTime, ended_at: optionalTime })
  .superRefine(endsAfterStart);

const FLAG_RULE = "must be true or false";
export const editQuery = z.strictObject({
  replace_numbers: z
    .enum(["true", "false"], { error: FLAG_RULE })
    .default("false")
    .transform((value) => value === "true"),
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
const exportedResults = z.strictObject({
  as_of: time,
  computed_at: time,
  last_error_at: time,
  counted: z.unknown().transform((value, context) => {
    try {
      const counted = readCountsJson(value);
      if (countsText(counted) !== null) return counted;
      context.addIssue({ code: "custom", message: "is too large" });
    } catch {
      context.addIssue({ code: "custom", message: "must be unchanged from the export" });
    }
    return z.NEVER;
  }),
});

/** One line of an export. `restoreExposures` checks its numbers. */
export const exportedExperiment = z
  .strictObject({
    format: z
      .literal(EXPORT_FORMAT, { error: `must be ${EXPORT_FORMAT}, the only format that this version reads` })
      .optional(),
    id: experimentId,
    ...definition,
    started_at: time,
    ended_at: time,
    created_at: instant,
    updated_at: instant,
    as_of: time,
    computed_at: time,
    last_error_at: time,
    is_final: z.boolean({ error: FLAG_RULE }).default(false),
    exposures: z.unknown().default(null),
    results: exportedResults.nullable().default(null),
  })
  .superRefine(endsAfterStart);

export const importQuery = z.strictObject({
  on_error: z.enum(["refuse", "skip"], { error: "must be refuse or skip" }).default("refuse"),
});

export const apiKeyBody = z.strictObject({
  name,
  environment_key: name.nullable().default(null),
  role: z.enum(roles, { error: `must be one of ${roles.join(", ")}` }),
  expires_at: time,
});

const LIMIT_RULE = "must be a whole number from 1 to 200";
export const pageQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_RULE)
    .transform(Number)
    .refine((value) => value >= 1 && value <= 200, LIMIT_RULE)
    .default(50),
  cursor: experimentId.optional(),
});

export const listQuery = z.strictObject({
  environment_key: z.string().optional(),
  status: z.enum(statuses, { error: `must be one of ${statuses.join(", ")}` }).optional(),
  ...pageQuery.shape,
});

export const eventsQuery = z.strictObject({ environment_key: name });

export const refreshWebhookBody = z.union(
  [
    z.strictObject({ experiment_id: experimentId }),
    z.strictObject({ environment_key: text, feature_name: text.optional() }),
  ],
  { error: "must contain experiment_id, or environment_key and optionally feature_name, and nothing else" },
);

const featureState = z
  .object({ feature: z.object({ name: text }) })
  .nullish()
  .catch(null);
const flagChange = z.object({ new_state: featureState, previous_state: featureState });

/**
 * Maps the body of a Flagsmith webhook to its subject: one feature, the whole environment, or nothing.
 * https://docs.flagsmith.com/administration-and-security/platform-configuration/environment-settings
 */
export const flagsmithWebhookBody = z
  .object({ event_type: z.string({ error: "must be text" }), data: z.unknown().optional() })
  .transform(({ event_type, data }, context) => {
    switch (event_type) {
      case "FLAG_UPDATED":
      case "FLAG_DELETED": {
        const change = flagChange.safeParse(data).data;
        const state = change?.new_state ?? change?.previous_state;
        if (state) return { about: "feature", featureName: state.feature.name } as const;
        const message = "must name the feature in new_state.feature.name or previous_state.feature.name";
        context.addIssue({ code: "custom", path: ["data"], message });
        return z.NEVER;
      }
      case "AUDIT_LOG_CREATED":
      case "NEW_VERSION_PUBLISHED":
        return { about: "environment" } as const;
      default:
        return { about: "nothing" } as const;
    }
  });
