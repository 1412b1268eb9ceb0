import { Hono } from "hono";
import { checkWarehouse } from "../warehouse/check.ts";
import type { AppDeps } from "./app.ts";
import { requireRight } from "./auth.ts";
import { refuse } from "./problem.ts";

export function warehouseRoutes({ settings, warehouse }: AppDeps): Hono {
  const app = new Hono();
  app.get("/check", requireRight(settings, "write"), async (c) => {
    const checked = await checkWarehouse(warehouse);
    return checked.ok ? c.json({ status: "ok" }) : refuse({ kind: "warehouse", detail: checked.failure });
  });
  return app;
}
