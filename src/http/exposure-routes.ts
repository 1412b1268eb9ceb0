import { Hono } from "hono";
import { requestManualRefresh } from "../refresh/request-refresh.ts";
import { manualRequests } from "../store/refresh-requests.ts";
import type { StoredSummary } from "../store/summaries.ts";
import type { Authentication } from "./authentication.ts";
import { isInScope } from "./caller.ts";
import type { AppDeps } from "./deps.ts";
import { exposuresETag, matchesETag } from "./etag.ts";
import { refuse } from "./problem.ts";
import { type AppEnv, REQUEST_ID, requestIdOf } from "./request-context.ts";
import { exposuresJson, isoTime } from "./responses.ts";
import { resultsJson } from "./results-json.ts";
import { securityHeaders } from "./security-headers.ts";

const HIT = "cache;desc=hit";
const PATH = /^[a-z]+:\/\/[^/]+\/v1\/experiments\/([\w.-]+)\/(exposures|results)$/;

/** The kinds of numbers, and what writes their bodies. Both are read as one row, which has one ETag. */
const BODIES = { exposures: exposuresJson, results: resultsJson };
type Kind = keyof typeof BODIES;
const kinds: readonly Kind[] = ["exposures", "results"];

export type ExposureRoutes = {
  routes: Hono<AppEnv>;
  /**
   * Responds to the most frequent requests without awaiting anything, if both the caller and the summary are cached.
   * Otherwise returns null, and the routes handle the request. Their response to a hit is the same.
   */
  fastPath(request: Request): Response | null;
};

/** The exposures and results of an experiment, and requests to refresh them. */
export function createExposureRoutes(deps: AppDeps, authentication: Authentication): ExposureRoutes {
  const { summaries, settings, clock } = deps;
  const app = new Hono<AppEnv>();
  const respond = createResponder(deps);

  for (const kind of kinds)
    app.get(`/:id/${kind}`, async (c) => {
      const id = c.req.param("id");
      const startTime = clock();
      // One statement reads both an API key that is not cached and the summary.
      let summaryWithKey: StoredSummary | null | undefined;
      const caller = await authentication.authenticate(c, "read", async (sha256) => {
        const { summary, apiKey } = await summaries.readWithApiKey(id, sha256);
        summaryWithKey = summary;
        return apiKey;
      });
      if (!caller.ok) return refuse(caller.failure);
      const cached = summaryWithKey === undefined ? summaries.cached(id) : undefined;
      const summary = cached ?? (summaryWithKey === undefined ? await summaries.read(id) : summaryWithKey);
      if (summary === null || !isInScope(caller.value, summary.experiment)) return refuse({ kind: "not_found" });
      const timing = cached === undefined ? `cache;desc=miss, db;dur=${clock() - startTime}` : HIT;
      return respond(c.req.raw, kind, summary, { "Server-Timing": timing });
    });

  for (const request of manualRequests)
    app.post(`/:id/exposures/${request}`, authentication.require("write"), async (c) => {
      const id = c.req.param("id");
      const requested = await requestManualRefresh(deps, c.var, request, id);
      if (!requested.ok) return refuse(requested.failure);
      return c.json({ experiment_id: id, refresh_requested_at: isoTime(requested.value) }, 202);
    });

  function fastPath(request: Request): Response | null {
    const [, id, path] = (request.method === "GET" ? PATH.exec(request.url) : null) ?? [];
    const kind = kinds.find((each) => each === path);
    const summary = id === undefined ? undefined : summaries.cached(id);
    if (kind === undefined || summary === undefined) return null;
    const caller = authentication.cachedCaller(request.headers.get("Authorization"), "read");
    if (caller === null || !isInScope(caller, summary.experiment)) return null;
    return respond(request, kind, summary, {
      ...securityHeaders(settings.publicUrl ?? request.url),
      "Server-Timing": HIT,
      [REQUEST_ID]: requestIdOf(request),
    });
  }

  return { routes: app, fastPath };
}

function createResponder({ settings, clock }: AppDeps) {
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;
  // The body of a cached summary stays the same as long as its ETag does.
  type Bodies = WeakMap<StoredSummary, { etag: string; text: string }>;
  const bodies: Record<Kind, Bodies> = { exposures: new WeakMap(), results: new WeakMap() };

  function bodyOf(kind: Kind, summary: StoredSummary, etag: string, now: number): string {
    const body = bodies[kind].get(summary);
    if (body?.etag === etag) return body.text;
    const text = BODIES[kind](summary, now);
    bodies[kind].set(summary, { etag, text });
    return text;
  }

  return (request: Request, kind: Kind, summary: StoredSummary, extraHeaders: Record<string, string>): Response => {
    const now = clock();
    const etag = exposuresETag(summary, now);
    const headers = { ETag: etag, "Cache-Control": cacheControl, Vary: "Authorization", ...extraHeaders };
    if (matchesETag(request.headers.get("If-None-Match") ?? undefined, etag))
      return new Response(null, { status: 304, headers });
    return new Response(bodyOf(kind, summary, etag, now), {
      headers: { ...headers, "Content-Type": "application/json" },
    });
  };
}
