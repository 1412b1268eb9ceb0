import type { JsonObject } from "../../http/openapi.ts";
import { refreshWebhookBody } from "../../http/schemas.ts";
import {
  json,
  object,
  reference,
  requiredHeader,
  schemaOf,
  signedByFlagsmith,
  signedByStandardWebhooks,
  withProblems,
} from "./parts.ts";

const environmentKey: JsonObject = {
  name: "environment_key",
  in: "path",
  required: true,
  schema: { type: "string", minLength: 1 },
};

const webhookResponses = withProblems(
  { 202: { description: "The accepted and the skipped experiments", content: json(reference("WebhookReceipt")) } },
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
      operationId: "receiveRefreshWebhook",
      summary: "Requests refreshes after a change",
      security: signedByStandardWebhooks,
      parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(requiredHeader),
      requestBody: { required: true, content: json(schemaOf(refreshWebhookBody)) },
      responses: webhookResponses,
    },
  },
  "/webhooks/flagsmith/{environment_key}": {
    parameters: [environmentKey],
    post: {
      operationId: "receiveFlagsmithWebhook",
      summary: "Receives a Flagsmith webhook",
      security: signedByFlagsmith,
      parameters: [requiredHeader("X-Flagsmith-Signature")],
      requestBody: { required: true, content: json(object({ event_type: { type: "string" }, data: {} })) },
      responses: webhookResponses,
    },
  },
};
