import { Webhook } from "standardwebhooks";
import type { AlertEndpoint } from "../settings.ts";
import type { Alert } from "../store/alerts.ts";

/** A receiver should acknowledge an alert before it processes it. */
const TIMEOUT_MS = 15_000;

/**
 * Posts a signed alert to the endpoint. Redirects are not followed. Returns null if the receiver accepted it, else the
 * reason for the failure, which contains neither the URL nor any text of the receiver.
 */
export async function postAlert(
  { url, secret }: AlertEndpoint,
  { id, body }: Alert,
  now: number,
): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      headers: {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, new Date(now), body),
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok ? null : `status ${response.status}`;
  } catch (error) {
    return error instanceof Error && error.name === "TimeoutError" ? "timeout" : "unreachable";
  }
}
