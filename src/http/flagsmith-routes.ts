import { Hono } from "hono";
import { adviceForFlagsmith } from "../flagsmith/flagsmith-failure.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";

const CHECK_MS = 20_000;

/** Checks whether experiments can be read from Flagsmith. */
export function flagsmithRoutes({ flagsmith, settings, clock }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/check", authentication.require("write"), async (c) => {
    const scope = c.var.caller.environmentKey;
    const environments = (settings.flagsmith?.environments ?? []).filter((key) => scope === null || key === scope);
    if (flagsmith === null || environments.length === 0) return refuse({ kind: "no_flagsmith" });
    const until = clock() + CHECK_MS;
    for (const environmentKey of environments) {
      for (const list of ["listExperiments", "listMetricEvents"] as const) {
        const listed = await flagsmith.client[list](environmentKey, until);
        if (!listed.ok)
          return refuse({ kind: "flagsmith", detail: adviceForFlagsmith(listed.failure, environmentKey) });
      }
    }
    return c.json({ status: "ok" });
  });
}
