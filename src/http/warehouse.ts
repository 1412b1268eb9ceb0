import { Hono } from "hono";
import { checkWarehouse } from "../warehouse/check.ts";
import type { AppDeps } from "./app.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request.ts";
import type { SignIn } from "./sign-in.ts";

export function warehouseRoutes({ warehouse }: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/check", signIn.require("write"), async (c) => {
    const checked = await checkWarehouse(warehouse);
    return checked.ok ? c.json({ status: "ok" }) : refuse({ kind: "warehouse", detail: checked.failure });
  });
  return app;
}
