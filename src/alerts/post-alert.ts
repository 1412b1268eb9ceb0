import type { AlertEndpoint } from "../settings.ts";
import { standardHeaders } from "../standard-webhooks.ts";
import type { Alert } from "../store/alerts.ts";
import { slackBody } from "./slack.ts";

/** A receiver should acknowledge an alert before it processes it. */
const TIMEOUT_MS = 15_000;

/**
 * Posts an alert to the endpoint. Redirects are not followed. Returns null if the receiver accepted it, else the reason
 * for the failure, which contains neither the URL nor any text of the receiver.
 */
export async function postAlert(endpoint: AlertEndpoint, alert: Alert, now: number): Promise<string | null> {
  try {
    const { headers, body } = endpoint.format === "slack" ? forSlack(alert) : await signed(alert, endpoint.secret, now);
    const response = await fetch(endpoint.url, {
      method: "POST",
      redirect: "manual",
      headers: { "Content-Type": "application/json", ...headers },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok ? null : `status ${response.status}`;
  } catch (error) {
    return error instanceof Error && error.name === "TimeoutError" ? "timeout" : "unreachable";
  }
}

async function signed({ id, body }: Alert, secret: string, now: number) {
  return { headers: await standardHeaders(secret, id, body, now), body };
}

/** Slack checks no signature: the URL is the secret. */
function forSlack({ body }: Alert) {
  return { headers: {}, body: slackBody(body) };
}
