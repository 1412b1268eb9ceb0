import { Hono } from "hono";
import { statusAt } from "../experiment.ts";
import { openWindow } from "../refresh/state-maintenance.ts";
import { getRefreshBasis } from "../store/refresh-results.ts";
import { adviceForStates } from "../warehouse/advice.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { isoTime } from "./responses.ts";

export function rebuildRoute(
  { database, warehouse, settings, clock }: AppDeps,
  authentication: Authentication,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/:id/exposures/rebuild", authentication.require("write"), async (c) => {
    const id = c.req.param("id");
    const now = clock();
    const { caller, log } = c.var;
    const basis = await getRefreshBasis(database, id);
    const isOutOfScope = caller.environmentKey !== null && basis?.experiment.environmentKey !== caller.environmentKey;
    if (basis === null || isOutOfScope) return refuse({ kind: "not_found" });
    if (settings.states === null) return refuse({ kind: "no_states" });
    const { environmentKey, featureName, startedAt } = basis.experiment;
    if (startedAt === null || statusAt(basis.experiment, now) === "draft") return refuse({ kind: "not_started" });
    if (basis.isFinal) return refuse({ kind: "final" });

    const opened = await openWindow(warehouse, { experimentId: id, environmentKey, featureName, startedAt });
    if (!opened.ok) return refuse({ kind: "warehouse", detail: adviceForStates(opened.failure) });
    log("info", "states.rebuild", { experiment_id: id, by: caller.name });
    return c.json({ experiment_id: id, rebuild_requested_at: isoTime(now) }, 202);
  });

  return app;
}
