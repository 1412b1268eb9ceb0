import { Hono } from "hono";
import { getLastSweepAt } from "../store/sweep-progress.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import type { AppEnv } from "./request-context.ts";
import { isoTime, isoTimeOrNull } from "./responses.ts";

/** Reports the service's clock and its last sweep, so that a monitor notices a wrong clock or a missing Cron Trigger. */
export function statusRoute({ database, settings, clock }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/status", authentication.require("write"), async (c) => {
    const lastSweepAt = await getLastSweepAt(database);
    return c.json({
      time: isoTime(clock()),
      last_sweep_at: isoTimeOrNull(lastSweepAt),
      sweep_seconds: settings.sweepMs / 1000,
    });
  });
}
