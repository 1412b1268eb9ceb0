import { checkNames, checkStatuses } from "../../exposures/health.ts";
import type { JsonObject } from "../../http/openapi.ts";
import { decisions } from "../../results/result-history.ts";
import { verdicts } from "../../results/verdict.ts";
import { figure, interval, shareOrNull } from "./component-schemas.ts";
import {
  admin,
  count,
  json,
  list,
  object,
  reference,
  requiredHeader,
  signedByStandardWebhooks,
  time,
  withProblems,
} from "./parts.ts";

// The alerts that this service sends, and the call that sends a test alert.

const text: JsonObject = { type: "string" };
/** Texts for people: what has happened, and what to do. */
const forPeople: JsonObject = { title: text, detail: text };

const aboutExperiment = (data: JsonObject): JsonObject => ({
  experiment_id: text,
  name: text,
  environment_key: text,
  feature_name: text,
  ...data,
  ...forPeople,
  as_of: time,
});

const healthData = (statuses: readonly string[]): JsonObject =>
  aboutExperiment({ check: { enum: checkNames }, status: { enum: statuses }, cause: { type: ["string", "null"] } });

const resultsData = (verdict: JsonObject): JsonObject =>
  aboutExperiment({
    metric: object({ key: text, name: text }),
    variant: text,
    verdict,
    lift: figure,
    interval,
    p_value: shareOrNull,
    health: { description: "While it is unhealthy, believe no result", enum: checkStatuses },
  });

const alert = (type: string, data: JsonObject): JsonObject => object({ type: { const: type }, timestamp: time, data });

export const alertSchemas: JsonObject = {
  HealthChanged: alert("health.changed", object(healthData(["warning", "unhealthy"]))),
  ResultsChanged: alert("results.changed", object(resultsData({ enum: decisions }))),
  RefreshFailing: alert(
    "refresh.failing",
    object({
      experiments: count,
      experiment_ids: { description: "The first ten", ...list(text) },
      since: time,
      kind: { description: "The most frequent kind of their last failures", ...text },
      ...forPeople,
    }),
  ),
  Resolved: alert("resolved", {
    oneOf: [
      object({ alert: { const: "health.changed" }, ...healthData(["healthy", "waiting"]) }),
      object({
        alert: { const: "results.changed" },
        ...resultsData({
          description: "Null: the treatment is no longer compared as it was",
          enum: [...verdicts, null],
        }),
      }),
      object({ alert: { const: "refresh.failing" }, ...forPeople }),
    ],
  }),
  TestAlert: alert("test", object(forPeople)),
};

const sent = (summary: string, schema: string): JsonObject => ({
  post: {
    operationId: `send${schema}`,
    summary,
    security: signedByStandardWebhooks,
    parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(requiredHeader),
    requestBody: { required: true, content: json(reference(schema)) },
    responses: { "2XX": { description: "Accepted. After any other response, the delivery is retried." } },
  },
});

/** Webhooks that this service sends to ALERT_WEBHOOK_URL, if ALERT_FORMAT is standard. */
export const sentWebhooks: JsonObject = {
  "health.changed": sent("Reports that a check has turned to warning or unhealthy", "HealthChanged"),
  "results.changed": sent("Reports that a goal is decided, or a guardrail harmed", "ResultsChanged"),
  "refresh.failing": sent("Reports that refreshes of experiments have failed for an hour", "RefreshFailing"),
  resolved: sent("Reports that an alert is over", "Resolved"),
  test: sent("Tests the delivery", "TestAlert"),
};

export const alertPaths: JsonObject = {
  "/v1/alerts/test": {
    post: {
      operationId: "requestTestAlert",
      summary: "Sends a test alert to ALERT_WEBHOOK_URL",
      security: admin,
      responses: withProblems(
        {
          202: {
            description: "The alert is stored, and is delivered like any other",
            content: json(object({ alert_id: text })),
          },
        },
        401,
        403,
        409,
        503,
      ),
    },
  },
};
