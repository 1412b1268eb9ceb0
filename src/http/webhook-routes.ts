import { type Context, Hono } from "hono";
import { flagsmithWebhookBody, isSignedHex } from "../flagsmith/webhook.ts";
import { describeBug } from "../log.ts";
import { wakeDispatcher } from "../refresh/request-refresh.ts";
import { isSignedStandard } from "../standard-webhooks.ts";
import { forgetRollouts } from "../store/flagsmith.ts";
import { recordWebhook, type WebhookScope } from "../store/refresh-requests.ts";
import { sha256Hex } from "./api-key-format.ts";
import { MIB, parseBody, readText } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { BLOCK_SECONDS, createFailedAttempts } from "./failed-attempts.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { refreshWebhookBody } from "./schemas.ts";

/** The period of the clock in which Flagsmith's webhooks with the same body are one delivery. */
const REPEAT_MS = 300_000;

/** The id of a delivery. Flagsmith sends none, and signs neither the environment nor a time outside the body. */
function flagsmithDelivery(environmentKey: string, body: string, now: number): Promise<string> {
  return sha256Hex(JSON.stringify(["flagsmith", environmentKey, Math.floor(now / REPEAT_MS), body]));
}

/** Signed webhooks that request a refresh. Without a secret, none is accepted. */
export function webhookRoutes(deps: AppDeps): Hono<AppEnv> {
  const { database, settings, clock, dispatcher } = deps;
  const app = new Hono<AppEnv>();
  const failedAttempts = createFailedAttempts("signature", deps.limiter, clock);

  app.post("/refresh", async (c) => {
    const text = await readText(c, MIB);
    if (!text.ok) return refuse(text.failure);
    const secret = settings.webhookSecret;
    const { headers } = c.req.raw;
    if (text.value === null || secret === null || !(await isSignedStandard(secret, headers, text.value, clock()))) {
      return refuseSignature(c, "Standard-Webhooks");
    }
    const body = parseBody(c.req.header("Content-Type"), text.value, refreshWebhookBody);
    if (!body.ok) return refuse(body.failure);
    const delivery = c.req.header("webhook-id") ?? "";
    if ("experiment_id" in body.value) return accept(c, { experimentId: body.value.experiment_id }, delivery);
    const { environment_key: environmentKey, feature_name: featureName } = body.value;
    return accept(c, featureName === undefined ? { environmentKey } : { environmentKey, featureName }, delivery);
  });

  app.post("/flagsmith/:environment_key", async (c) => {
    const text = await readText(c, MIB);
    if (!text.ok) return refuse(text.failure);
    const secret = settings.flagsmithWebhookSecret;
    const signature = c.req.header("X-Flagsmith-Signature") ?? "";
    if (text.value === null || secret === null || !(await isSignedHex(secret, signature, text.value))) {
      return refuseSignature(c, "X-Flagsmith-Signature");
    }
    const body = parseBody(c.req.header("Content-Type"), text.value, flagsmithWebhookBody);
    if (!body.ok) return refuse(body.failure);
    const environmentKey = c.req.param("environment_key");
    await requestSync(c, environmentKey, body.value.about === "feature" ? body.value.featureName : null);
    const delivery = await flagsmithDelivery(environmentKey, text.value, clock());
    switch (body.value.about) {
      case "feature":
        return accept(c, { environmentKey, featureName: body.value.featureName }, delivery);
      case "environment":
        return accept(c, { environmentKey }, delivery);
      case "nothing":
        return c.json({ accepted: [], skipped: [] }, 202);
    }
  });

  /** Requests a sync of Flagsmith's experiments. A webhook is a hint: if this fails, the next sweep syncs. */
  async function requestSync(c: Context<AppEnv>, environmentKey: string, featureName: string | null): Promise<void> {
    if (deps.flagsmith === null || !settings.flagsmith?.environments.includes(environmentKey)) return;
    if (featureName !== null) await forgetRollouts(database, environmentKey, featureName);
    try {
      await deps.flagsmith.requestSync();
    } catch (error) {
      c.var.log("error", "flagsmith.failed", { error: describeBug(error) });
    }
  }

  async function accept(c: Context<AppEnv>, scope: WebhookScope, delivery: string): Promise<Response> {
    const recorded = await recordWebhook(database, scope, clock(), settings.refreshMinIntervalMs, delivery);
    const { accepted, skipped, isPending } = recorded;
    // A sender repeats a delivery that got no response, perhaps because the dispatcher was not woken.
    if (isPending) await wakeDispatcher(dispatcher, c.var.log, null);
    c.var.log("info", "webhook.accepted", { accepted: accepted.length, skipped: skipped.length });
    const reasons = skipped.map(({ experimentId, reason }) => ({ experiment_id: experimentId, reason }));
    return c.json({ accepted, skipped: reasons }, 202);
  }

  /**
   * Refuses an invalid signature. Valid ones pass even while their address is blocked: several environments may share it,
   * and perhaps only one of them has a wrong secret.
   */
  async function refuseSignature(c: Context<AppEnv>, challenge: string): Promise<Response> {
    if (!(await failedAttempts.record(c.var.address, c.var.log)))
      return refuse({ kind: "too_many_attempts", retryAfterSeconds: BLOCK_SECONDS });
    c.var.log("warn", "webhook.refused", { scheme: challenge });
    const detail =
      "The signature is missing, wrong or too old. Check the sender's clock, and that it has the secret that is set here.";
    return refuse({ kind: "unauthorized", detail, challenge });
  }

  return app;
}
