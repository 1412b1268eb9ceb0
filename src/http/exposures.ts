import { Hono } from "hono";
import { askFor } from "../refresh/ask.ts";
import { noteCall } from "../store/requests.ts";
import { getSummary, getSummaryWithApiKey, type StoredSummary } from "../store/summaries.ts";
import { exposuresAnswer, exposuresETag, isoTime, matchesETag } from "./answers.ts";
import type { AppDeps } from "./app.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request.ts";
import type { SignIn } from "./sign-in.ts";

export function exposuresRoutes(deps: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const { database, settings, clock, coordinators } = deps;
  const app = new Hono<AppEnv>();
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;

  app.get("/:id/exposures", async (c) => {
    const id = c.req.param("id");
    // A key that must be looked up comes together with the summary: the path that is hot takes one statement at most.
    let found: StoredSummary | null | undefined;
    const caller = await signIn.identify(c, "read", async (sha256) => {
      const { summary, apiKey } = await getSummaryWithApiKey(database, id, sha256);
      found = summary;
      return apiKey;
    });
    if (!caller.ok) return refuse(caller.failure);
    const summary = found === undefined ? await getSummary(database, id) : found;
    const { environmentKey } = caller.value;
    if (summary === null || (environmentKey !== null && environmentKey !== summary.environmentKey))
      return refuse({ kind: "not_found" });
    const now = clock();
    const etag = exposuresETag(summary, now);
    const headers = { ETag: etag, "Cache-Control": cacheControl, Vary: "Authorization" };
    if (matchesETag(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
    return new Response(exposuresAnswer(id, summary, now), {
      headers: { ...headers, "Content-Type": "application/json" },
    });
  });

  app.post("/:id/exposures/refresh", signIn.require("write"), async (c) => {
    const id = c.req.param("id");
    const now = clock();
    const outcome = await noteCall(database, id, c.var.caller.environmentKey, now, settings.refreshMinIntervalMs);
    switch (outcome.kind) {
      case "accepted":
        await askFor(coordinators, c.var.log, [id], "call");
        return c.json({ experiment_id: id, refresh_requested_at: isoTime(now) }, 202);
      case "too_soon":
        // The answer to the call before may have been lost, and with it the way to the coordinator.
        if (outcome.unserved) await askFor(coordinators, c.var.log, [id], "hint");
        return refuse({ kind: "too_soon", retryAfterSeconds: Math.max(1, Math.ceil((outcome.nextAt - now) / 1000)) });
      default:
        return refuse(outcome);
    }
  });

  return app;
}
