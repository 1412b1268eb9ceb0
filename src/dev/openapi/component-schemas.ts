import { aggregations, expectedDirections, sources, statuses } from "../../experiment.ts";
import { type CheckName, checkNames, checkStatuses, type figureNames, type NO_CAUSES } from "../../exposures/health.ts";
import type { JsonObject } from "../../http/openapi.ts";
import { experimentBody, experimentId, exportedExperiment } from "../../http/schemas.ts";
import { verdicts } from "../../results/verdict.ts";
import { roles } from "../../store/api-keys.ts";
import { valueKinds } from "../../warehouse/discover-events.ts";
import { count, list, object, reference, schemaOf, time, timeOrNull } from "./parts.ts";

// The component schemas of the OpenAPI document. Those of input are generated from the schemas that validate it.

const countByVariant: JsonObject = { type: "object", additionalProperties: count };

const number: JsonObject = { type: "number", minimum: 0 };
/** Null if there is no data to compute it from. */
export const shareOrNull: JsonObject = { type: ["number", "null"], minimum: 0, maximum: 1 };

const valueOfDimension: JsonObject = {
  dimension: { description: "sdk_language, sdk_version, first_exposure or traits.NAME", type: "string" },
  value: {
    description: "For first_exposure, the start of a bucket; null: all but the largest values, together",
    type: ["string", "null"],
  },
};
/** By variant; those that are not configured are together under the empty string. */
const identitiesOfValue: JsonObject = { identities: countByVariant, excluded_identities: count };
const nullable = (schema: JsonObject): JsonObject => ({ oneOf: [{ type: "null" }, schema] });
const cause = object({
  ...valueOfDimension,
  ...identitiesOfValue,
  p_value: shareOrNull,
  explained: shareOrNull,
  is_fair_without: { type: "boolean" },
  same_as: list(object(valueOfDimension)),
  detail: { type: "string" },
});
const breakdown = object({
  dimension: { type: "string" },
  values: list(object({ value: { type: ["string", "null"] }, ...identitiesOfValue })),
});
/** Null if the check does not fail, or its breakdown failed. */
const causes: Record<keyof typeof NO_CAUSES, JsonObject> = {
  causes: nullable(list(reference("Cause"))),
  causes_detail: { type: ["string", "null"] },
  began_at: timeOrNull,
  breakdown: nullable(reference("Breakdown")),
};

const figures: { [Name in CheckName]: Record<(typeof figureNames)[Name][number], JsonObject> } = {
  sample_ratio: {
    p_value: shareOrNull,
    sequential_p_value: shareOrNull,
    expected: { type: "object", additionalProperties: number },
    observed: countByVariant,
    tested_from: timeOrNull,
    ...causes,
  },
  multiple_variants: { share: shareOrNull, excluded_identities: count, ...causes },
  unknown_variants: { variants: countByVariant },
  exposures_arriving: { latest_exposure_at: timeOrNull },
  late_events: { share: shareOrNull, late_identities: count },
  window: { days: number, events_ttl_days: count },
  invalid_events: { share: shareOrNull, invalid_events: count },
};

const checkStatus: JsonObject = { enum: checkStatuses };
const detail: JsonObject = {
  type: "string",
  description: "The finding, its certainty and what to do",
};
const health = object({
  status: checkStatus,
  checks: {
    description: "Every check, in this order. Numbers stored by another version have its checks.",
    type: "array",
    items: {
      anyOf: [
        ...checkNames.map((name) => object({ name: { const: name }, status: checkStatus, detail, ...figures[name] })),
        object({ name: { type: "string" }, status: checkStatus, detail }),
      ],
    },
  },
});

export const apiKeySchema: JsonObject = {
  id: { type: "string" },
  name: { type: "string" },
  environment_key: {
    description: "The environment that the key is bound to; null: all environments",
    type: ["string", "null"],
  },
  role: { enum: roles },
  created_at: time,
  expires_at: timeOrNull,
};

const metricFields: JsonObject = {
  key: { type: "string" },
  name: { type: "string" },
  event: { type: "string" },
  aggregation: { enum: aggregations },
  expected_direction: { enum: expectedDirections },
};

/** Null where it does not exist, or is too large. */
export const figure: JsonObject = { type: ["number", "null"] };
export const interval: JsonObject = { type: ["array", "null"], items: { type: "number" }, minItems: 2, maxItems: 2 };

const results = object({
  control: { description: "The variant that the others are compared with", type: ["string", "null"] },
  health: { description: "The health of the exposures", enum: [...checkStatuses, null] },
  metrics: list(
    object({
      ...metricFields,
      invalid_values: count,
      variants: {
        type: "object",
        additionalProperties: object({
          identities: count,
          sum: figure,
          mean: figure,
          standard_deviation: figure,
        }),
      },
      comparisons: {
        description: "By variant, for each configured one but the control",
        type: "object",
        additionalProperties: object({
          lift: figure,
          interval: { description: "Valid however often you look", ...interval },
          p_value: { description: "Valid however often you look", ...shareOrNull },
          credible_interval: { description: "Valid for a single look", ...interval },
          chance_to_win: { description: "Valid for a single look", ...shareOrNull },
          variance_reduction: shareOrNull,
          verdict: { enum: verdicts },
        }),
      },
    }),
  ),
});

/** The fields of exposures and results that describe their numbers. */
const numbers: JsonObject = {
  experiment_id: { type: "string" },
  status: { enum: statuses },
  as_of: timeOrNull,
  computed_at: timeOrNull,
  last_error_at: timeOrNull,
  refresh_requested_at: timeOrNull,
  is_final: { type: "boolean" },
};

const inputErrors = list(object({ path: { type: "string" }, message: { type: "string" } }));

export const schemas: JsonObject = {
  Problem: {
    description: "Problem details (RFC 9457); errors is present if the input is invalid",
    type: "object",
    required: ["type", "title", "status", "detail"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: count,
      detail: { type: "string" },
      errors: inputErrors,
    },
  },
  ExperimentInput: schemaOf(experimentBody),
  Experiment: object({
    id: schemaOf(experimentId),
    name: { type: "string" },
    source: { description: "Where it is defined and changed", enum: sources },
    environment_key: { type: "string" },
    feature_name: { type: "string" },
    variants: list(object({ key: { type: "string" }, weight: { type: "number", minimum: 0 } })),
    metrics: list(
      object({
        ...metricFields,
        conversion_window_hours: { type: ["integer", "null"], minimum: 1 },
        lookback_days: count,
      }),
    ),
    started_at: timeOrNull,
    ended_at: timeOrNull,
    weights_changed_at: timeOrNull,
    status: { enum: statuses },
    created_at: time,
    updated_at: time,
  }),
  Exposures: object({
    ...numbers,
    exposures: {
      description: "Null until the first refresh succeeds.",
      oneOf: [
        { type: "null" },
        object({
          total_identities: count,
          excluded_identities: count,
          variants: countByVariant,
          health,
          timeseries: object({
            granularity: { enum: ["hour", "day"] },
            points: list(
              object({ bucket: time, new_identities: countByVariant, cumulative_identities: countByVariant }),
            ),
          }),
        }),
      ],
    },
  }),
  Cause: cause,
  Breakdown: breakdown,
  Results: object({
    ...numbers,
    results: {
      description: "Null until computed, and for an experiment without metrics.",
      oneOf: [{ type: "null" }, results],
    },
  }),
  ExportedExperiment: schemaOf(exportedExperiment),
  ImportReceipt: {
    type: "object",
    required: ["imported", "skipped"],
    properties: {
      imported: list({ type: "string" }),
      skipped: list(object({ experiment_id: { type: "string" }, reason: { enum: ["exists", "feature_taken"] } })),
      errors: {
        description: "The invalid lines, if on_error is skip. A path starts with the line's number.",
        ...inputErrors,
      },
    },
  },
  WarehouseFeature: object({
    environment_key: { type: "string" },
    feature_name: { type: "string" },
    variants: list(object({ key: { type: "string" }, identities: count })),
    first_exposure_at: time,
    last_exposure_at: time,
    experiment_id: {
      description: "The id of an experiment on this feature that is not completed",
      type: ["string", "null"],
    },
  }),
  WarehouseEvent: object({
    event: { type: "string" },
    count,
    values: { description: "What the values of its last day look like", enum: valueKinds },
    last_event_at: time,
  }),
  ApiKey: object(apiKeySchema),
  WebhookReceipt: object({
    accepted: list({ type: "string" }),
    skipped: list(
      object({
        experiment_id: { type: "string" },
        reason: { enum: ["not_found", "not_started", "final", "repeated"] },
      }),
    ),
  }),
};
