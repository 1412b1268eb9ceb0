import { Webhook } from "standardwebhooks";
import type { AlertEndpoint } from "../settings.ts";
import type { Alert } from "./alert.ts";

/** Receivers should answer first and work later. */
const DEADLINE_MS = 15_000;

/**
 * Sends an alert, signed, to the one URL that it may go to: a redirect is not followed. Null if it was taken, else why
 * not, in words that repeat neither the URL nor what its host says.
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
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    await response.body?.cancel();
    return response.ok ? null : `status ${response.status}`;
  } catch (error) {
    return error instanceof Error && error.name === "TimeoutError" ? "timeout" : "unreachable";
  }
}
