import { Hono } from "hono";
import { statusAt } from "../experiment.ts";
import { openWindow } from "../refresh/state-upkeep.ts";
import { getRefreshBasis } from "../store/summaries.ts";
import { adviceForStates } from "../warehouse/state-counts.ts";
import { isoTime } from "./responses.ts";
import type { AppDeps } from "../app.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import type { SignIn } from "./authentication.ts";

export function statesRoutes({ database, warehouse, settings, clock }: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/:id/exposures/rebuild", signIn.require("write"), async (c) => {
    const id = c.req.param("id");
    const now = clock();
    const { caller, log } = c.var;
    const basis = await getRefreshBasis(database, id);
    const elsewhere = caller.environmentKey !== null && basis?.experiment.environmentKey !== caller.environmentKey;
    if (basis === null || elsewhere) return refuse({ kind: "not_found" });
    if (settings.states === null) return refuse({ kind: "no_states" });
    const { environmentKey, featureName, startedAt } = basis.experiment;
    if (startedAt === null || statusAt(basis.experiment, now) === "draft") return refuse({ kind: "not_started" });
    if (basis.isFinal) return refuse({ kind: "final" });

    const rebuilt = await openWindow(warehouse, { experimentId: id, environmentKey, featureName, startedAt });
    if (!rebuilt.ok) return refuse({ kind: "warehouse", detail: adviceForStates(rebuilt.failure) });
    log("info", "states.rebuild", { experiment_id: id, by: caller.name });
    return c.json({ experiment_id: id, rebuild_requested_at: isoTime(now) }, 202);
  });

  return app;
}
