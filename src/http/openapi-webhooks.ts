import {
  anyone,
  type JsonObject,
  json,
  object,
  reference,
  requiredHeader,
  schemaOf,
  withProblems,
} from "./openapi-parts.ts";
import { refreshWebhookBody } from "./schemas.ts";

const environmentKey: JsonObject = {
  name: "environment_key",
  in: "path",
  required: true,
  schema: { type: "string", minLength: 1 },
};

const webhookResponses = withProblems(
  { 202: { description: "What will be refreshed", content: json(reference("WebhookReceipt")) } },
  400,
  401,
  413,
  415,
  503,
);

/** Webhooks that this service receives. */
export const webhookPaths: JsonObject = {
  "/webhooks/refresh": {
    post: {
      summary: "Hint that something has changed, signed as Standard Webhooks say",
      security: anyone,
      parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(requiredHeader),
      requestBody: { required: true, content: json(schemaOf(refreshWebhookBody)) },
      responses: webhookResponses,
    },
  },
  "/webhooks/flagsmith/{environment_key}": {
    parameters: [environmentKey],
    post: {
      summary: "A webhook of Flagsmith, signed with the hex HMAC-SHA256 of its body",
      security: anyone,
      parameters: [requiredHeader("X-Flagsmith-Signature")],
      requestBody: { required: true, content: json(object({ event_type: { type: "string" }, data: {} })) },
      responses: webhookResponses,
    },
  },
};

/** Webhooks that this service sends, to ALERT_WEBHOOK_URL. */
export const sentWebhooks: JsonObject = {
  "health.changed": {
    post: {
      summary: "A check of an experiment has turned to warning or unhealthy; signed as Standard Webhooks say",
      parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(requiredHeader),
      requestBody: { required: true, content: json(reference("HealthChanged")) },
      responses: { "2XX": { description: "Taken. Whatever else is answered, it is sent again." } },
    },
  },
};
