import { Hono } from "hono";
import { requestManualRefresh } from "../refresh/request-refresh.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { isoTime } from "./responses.ts";

/** Requests a refresh that replaces the experiment's states. The refresh replaces them itself, because only one runs at a time. */
export function rebuildRoute(
  { database, dispatcher, settings, clock }: AppDeps,
  authentication: Authentication,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/:id/exposures/rebuild", authentication.require("write"), async (c) => {
    const id = c.req.param("id");
    const { caller, log } = c.var;
    if (settings.states === null) return refuse({ kind: "no_states" });
    const refreshing = { database, dispatcher, minIntervalMs: settings.refreshMinIntervalMs, clock };
    const requested = await requestManualRefresh(refreshing, log, "rebuild", id, caller.environmentKey);
    if (!requested.ok) return refuse(requested.failure);
    log("info", "states.rebuild", { experiment_id: id, by: caller.name });
    return c.json({ experiment_id: id, rebuild_requested_at: isoTime(requested.value) }, 202);
  });

  return app;
}
