import { Hono } from "hono";
import type { Log } from "../log.ts";
import { askFor } from "../refresh/request-refresh.ts";
import type { Scope } from "../store/experiments.ts";
import { noteCall } from "../store/refresh-requests.ts";
import { getSummary, getSummaryWithApiKey, type StoredSummary } from "../store/summaries.ts";
import { exposuresAnswer, exposuresETag, isoTime, matchesETag } from "./responses.ts";
import type { AppDeps } from "../app.ts";
import { refuse } from "./problem.ts";
import { type AppEnv, REQUEST_ID, requestIdOf } from "./request-context.ts";
import type { Caller, SignIn } from "./authentication.ts";

const HIT = "cache;desc=hit";
const PATH = /^[a-z]+:\/\/[^/]+\/v1\/experiments\/([\w.-]+)\/exposures$/;

export type Exposures = {
  routes: Hono<AppEnv>;
  /**
   * The short way to the answer that is asked for most: when both caller and summary are known, nothing has to be
   * waited for. Null for everything else, be it a miss or a mistake: that is for the routes, which would answer a hit
   * the same.
   */
  shortWay(request: Request): Response | null;
};

export function createExposures(deps: AppDeps, signIn: SignIn): Exposures {
  const { database, clock } = deps;
  const app = new Hono<AppEnv>();
  const answer = createAnswer(deps);

  app.get("/:id/exposures", async (c) => {
    const id = c.req.param("id");
    const begun = clock();
    // A key that must be looked up comes together with the summary: the path that is hot takes one statement at most.
    let found: StoredSummary | null | undefined;
    const caller = await signIn.identify(c, "read", async (sha256) => {
      const { summary, apiKey } = await getSummaryWithApiKey(database, id, sha256);
      found = summary;
      return apiKey;
    });
    if (!caller.ok) return refuse(caller.failure);
    const recent = found === undefined ? database.recent?.get(id) : undefined;
    const summary = recent ?? (found === undefined ? await getSummary(database, id) : found);
    if (summary === null || !isFor(caller.value, summary)) return refuse({ kind: "not_found" });
    const timing = recent === undefined ? `cache;desc=miss, db;dur=${clock() - begun}` : HIT;
    return answer(c.req.raw, id, summary, { "Server-Timing": timing });
  });

  app.post("/:id/exposures/refresh", signIn.require("write"), (c) =>
    askForRefresh(deps, c.var.log, c.req.param("id"), c.var.caller.environmentKey),
  );

  function shortWay(request: Request): Response | null {
    const id = request.method === "GET" ? PATH.exec(request.url)?.[1] : undefined;
    const summary = id === undefined ? undefined : database.recent?.get(id);
    if (id === undefined || summary === undefined) return null;
    const caller = signIn.recall(request.headers.get("Authorization"), "read");
    if (caller === null || !isFor(caller, summary)) return null;
    return answer(request, id, summary, { "Server-Timing": HIT, [REQUEST_ID]: requestIdOf(request) });
  }

  return { routes: app, shortWay };
}

/** One call for a refresh by somebody who may, of an experiment in their scope: 202, or why not. */
export async function askForRefresh(
  { database, settings, clock, coordinators }: AppDeps,
  log: Log,
  id: string,
  scope: Scope,
): Promise<Response> {
  const now = clock();
  const outcome = await noteCall(database, id, scope, now, settings.refreshMinIntervalMs);
  switch (outcome.kind) {
    case "accepted":
      await askFor(coordinators, log, [id], "call");
      return Response.json({ experiment_id: id, refresh_requested_at: isoTime(now) }, { status: 202 });
    case "too_soon":
      // The answer to the call before may have been lost, and with it the way to the coordinator.
      if (outcome.unserved) await askFor(coordinators, log, [id], "hint");
      return refuse({ kind: "too_soon", retryAfterSeconds: Math.max(1, Math.ceil((outcome.nextAt - now) / 1000)) });
    default:
      return refuse(outcome);
  }
}

function isFor({ environmentKey }: Caller, summary: StoredSummary): boolean {
  return environmentKey === null || environmentKey === summary.environmentKey;
}

function createAnswer({ settings, clock }: AppDeps) {
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;
  // A summary in memory is asked for again and again, and its text stays the same as long as its ETag does.
  const texts = new WeakMap<StoredSummary, { etag: string; text: string }>();

  function textOf(id: string, summary: StoredSummary, etag: string, now: number): string {
    const made = texts.get(summary);
    if (made?.etag === etag) return made.text;
    const text = exposuresAnswer(id, summary, now);
    texts.set(summary, { etag, text });
    return text;
  }

  return (request: Request, id: string, summary: StoredSummary, more: Record<string, string>): Response => {
    const now = clock();
    const etag = exposuresETag(summary, now);
    const headers = { ETag: etag, "Cache-Control": cacheControl, Vary: "Authorization", ...more };
    if (matchesETag(request.headers.get("If-None-Match") ?? undefined, etag))
      return new Response(null, { status: 304, headers });
    return new Response(textOf(id, summary, etag, now), {
      headers: { ...headers, "Content-Type": "application/json" },
    });
  };
}
