import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "./request-context.ts";

/** Allows pages of these origins to read, and no other cross-origin request. */
export function allowReadsFrom(origins: readonly string[]) {
  const allow = cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD"],
    allowHeaders: ["Authorization", "If-None-Match", "X-Request-Id"],
    exposeHeaders: ["ETag", "Retry-After", "X-Request-Id"],
    maxAge: 3600,
  });
  return createMiddleware<AppEnv>((c, next) =>
    ["GET", "HEAD", "OPTIONS"].includes(c.req.method) ? allow(c, next) : next(),
  );
}
