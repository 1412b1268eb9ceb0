import { Hono } from "hono";
import type { AppEnv } from "../http/request-context.ts";
import { assets } from "./assets.ts";

const YEAR_SECONDS = 31_536_000;

export function assetRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  for (const { path, type, content } of Object.values(assets)) {
    const headers = {
      "Content-Type": type,
      "Cache-Control": `public, max-age=${YEAR_SECONDS}, immutable`,
      "X-Content-Type-Options": "nosniff",
    };
    app.get(path, () => new Response(content, { headers }));
  }
  return app;
}
