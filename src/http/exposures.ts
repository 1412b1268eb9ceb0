import { Hono } from "hono";
import { askFor } from "../refresh/ask.ts";
import { noteCall } from "../store/requests.ts";
import { getSummary } from "../store/summaries.ts";
import { exposuresAnswer, exposuresETag, isoTime, matchesETag } from "./answers.ts";
import type { AppDeps } from "./app.ts";
import { requireRight } from "./auth.ts";
import { refuse } from "./problem.ts";

export function exposuresRoutes(deps: AppDeps): Hono {
  const { database, settings, clock } = deps;
  const app = new Hono();
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;

  app.get("/:id/exposures", requireRight(settings, "read"), async (c) => {
    const id = c.req.param("id");
    const summary = await getSummary(database, id);
    if (summary === null) return refuse({ kind: "not_found" });
    const now = clock();
    const etag = exposuresETag(summary, now);
    const headers = { ETag: etag, "Cache-Control": cacheControl, Vary: "Authorization" };
    if (matchesETag(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
    return new Response(exposuresAnswer(id, summary, now), {
      headers: { ...headers, "Content-Type": "application/json" },
    });
  });

  app.post("/:id/exposures/refresh", requireRight(settings, "write"), async (c) => {
    const id = c.req.param("id");
    const now = clock();
    const outcome = await noteCall(database, id, now, settings.refreshMinIntervalMs);
    switch (outcome.kind) {
      case "accepted":
        await askFor(deps, [id], "call");
        return c.json({ experiment_id: id, refresh_requested_at: isoTime(now) }, 202);
      case "too_soon":
        // The answer to the call before may have been lost, and with it the way to the coordinator.
        if (outcome.unserved) await askFor(deps, [id], "hint");
        return refuse({ kind: "too_soon", retryAfterSeconds: Math.max(1, Math.ceil((outcome.nextAt - now) / 1000)) });
      default:
        return refuse(outcome);
    }
  });

  return app;
}
