import { Hono } from "hono";
import { requestManualRefresh } from "../refresh/request-refresh.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { isoTime } from "./responses.ts";

/** Requests a refresh that replaces the experiment's states, because no other refresh runs at the same time. */
export function rebuildRoute(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/:id/exposures/rebuild", authentication.require("write"), async (c) => {
    const id = c.req.param("id");
    if (deps.settings.states === null) return refuse({ kind: "no_states" });
    const requested = await requestManualRefresh(deps, c.var, "rebuild", id);
    if (!requested.ok) return refuse(requested.failure);
    return c.json({ experiment_id: id, rebuild_requested_at: isoTime(requested.value) }, 202);
  });

  return app;
}
