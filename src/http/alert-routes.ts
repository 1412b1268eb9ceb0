import { Hono } from "hono";
import { requestDelivery } from "../alerts/alerter.ts";
import { testAlert } from "../alerts/messages.ts";
import { alertStatement } from "../store/alerts.ts";
import { runOnPrimary } from "../store/database.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";

export function alertRoutes({ database, alerts, clock }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/test", authentication.require("admin"), async (c) => {
    if (alerts === null) return refuse({ kind: "no_receiver" });
    const { caller, log } = c.var;
    const alert = testAlert(caller.name, clock());
    await runOnPrimary(database, alertStatement(alert, clock()));
    await requestDelivery(alerts, log);
    log("info", "alert.tested", { alert_id: alert.id, by: caller.name });
    return c.json({ alert_id: alert.id }, 202);
  });

  return app;
}
