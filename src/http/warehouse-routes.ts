import { Hono } from "hono";
import { checkSource } from "../warehouse/check-warehouse.ts";
import type { Authentication } from "./authentication.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";

export function warehouseRoutes({ warehouse, settings }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/check", authentication.require("write"), async (c) => {
    const checked = await checkSource(warehouse, settings.states !== null);
    return checked.ok ? c.json({ status: "ok" }) : refuse({ kind: "warehouse", detail: checked.failure });
  });
  return app;
}
