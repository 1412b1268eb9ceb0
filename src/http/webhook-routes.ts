import { type Context, Hono } from "hono";
import { askFor } from "../refresh/request-refresh.ts";
import { type HintScope, noteHint } from "../store/refresh-requests.ts";
import type { AppDeps } from "../app.ts";
import { MIB, parseBody, readText } from "./body.ts";
import { createGuard, SHUT_OUT_SECONDS } from "./failed-attempts.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { flagsmithEvent, refreshHint } from "./schemas.ts";
import { isSignedHex, isSignedStandard } from "./webhook-signatures.ts";

/** Hints that something has changed. A secret that is not set lets nobody in. */
export function webhookRoutes(deps: AppDeps): Hono<AppEnv> {
  const { database, settings, clock, coordinators } = deps;
  const app = new Hono<AppEnv>();
  const guard = createGuard("signature", deps.limiter, clock);

  app.post("/refresh", async (c) => {
    const sent = await readText(c, MIB);
    if (!sent.ok) return refuse(sent.failure);
    const text = sent.value;
    const secret = settings.webhookSecret;
    if (text === null || secret === null || !isSignedStandard(secret, c.req.raw.headers, text)) {
      return refuseSignature(c, "Standard-Webhooks");
    }
    const body = parseBody(c.req.header("Content-Type"), text, refreshHint);
    if (!body.ok) return refuse(body.failure);
    const hint = body.value;
    const delivery = c.req.header("webhook-id") ?? null;
    if ("experiment_id" in hint) return take(c, { experimentId: hint.experiment_id }, delivery);
    const { environment_key: environmentKey, feature_name: featureName } = hint;
    return take(c, featureName === undefined ? { environmentKey } : { environmentKey, featureName }, delivery);
  });

  app.post("/flagsmith/:environment_key", async (c) => {
    const sent = await readText(c, MIB);
    if (!sent.ok) return refuse(sent.failure);
    const text = sent.value;
    const secret = settings.flagsmithWebhookSecret;
    const signature = c.req.header("X-Flagsmith-Signature") ?? "";
    if (text === null || secret === null || !(await isSignedHex(secret, signature, text))) {
      return refuseSignature(c, "X-Flagsmith-Signature");
    }
    const body = parseBody(c.req.header("Content-Type"), text, flagsmithEvent);
    if (!body.ok) return refuse(body.failure);
    const environmentKey = c.req.param("environment_key");
    switch (body.value.about) {
      case "feature":
        return take(c, { environmentKey, featureName: body.value.featureName }, null);
      case "environment":
        return take(c, { environmentKey }, null);
      case "nothing":
        return c.json({ accepted: [], skipped: [] }, 202);
    }
  });

  async function take(c: Context<AppEnv>, scope: HintScope, delivery: string | null): Promise<Response> {
    const { accepted, skipped, unserved } = await noteHint(database, scope, clock(), delivery);
    // Also what a delivery before this one has noted: it is sent again because it was not answered.
    await askFor(coordinators, c.var.log, unserved, "hint");
    c.var.log("info", "webhook.accepted", { accepted: accepted.length, skipped: skipped.length });
    const reasons = skipped.map(({ experimentId, reason }) => ({ experiment_id: experimentId, reason }));
    return c.json({ accepted, skipped: reasons }, 202);
  }

  /** A good signature is always let in: several environments may call from one address, and one of them be wrong. */
  async function refuseSignature(c: Context<AppEnv>, challenge: string): Promise<Response> {
    if (!(await guard.fail(c.var.address, c.var.log)))
      return refuse({ kind: "shut_out", retryAfterSeconds: SHUT_OUT_SECONDS });
    c.var.log("warn", "webhook.refused", { scheme: challenge });
    return refuse({ kind: "unauthorized", detail: "The signature is missing, wrong or too old.", challenge });
  }

  return app;
}
