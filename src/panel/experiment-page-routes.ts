import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Experiment } from "../experiment.ts";
import { ANYONE, hasRight } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { problemOf, refuse } from "../http/problem.ts";
import { type AppEnv, originOf } from "../http/request-context.ts";
import { isoTime } from "../http/responses.ts";
import { requestManualRefresh } from "../refresh/request-refresh.ts";
import { getExperiment } from "../store/experiments.ts";
import { manualRequests } from "../store/refresh-requests.ts";
import { describeExposureQuery } from "../warehouse/exposure-query.ts";
import { experimentPage } from "./experiment-page.ts";
import { readForm } from "./forms.ts";
import { htmlResponse, type PageOptions } from "./html-response.ts";
import { markup } from "./markup.ts";
import { redirectToLogin, wantsJson } from "./redirects.ts";
import { seriesNames } from "./series.ts";
import { isPast, lastShareDay, shareKinds, signShareLink } from "./share-link.ts";
import type { Visitor, Visitors } from "./visitors.ts";

const pageQuery = z.object({ series: z.enum(seriesNames).catch("cumulative") });
const shareForm = z.object({ kind: z.enum(shareKinds), until: z.iso.date() });

type Shown = PageOptions & {
  shared?: boolean;
  /** A share link that has just been created. */
  link?: string;
  /** The reason why a form was refused. */
  notice?: string;
};

/** The page of an experiment, and its forms: refresh, recount and share. */
export function experimentPageRoutes(deps: AppDeps, { visitorOf, isSharedLink }: Visitors): Hono<AppEnv> {
  const { database, summaries, settings, dispatcher, warehouse, clock } = deps;
  const { sessionSecret } = settings;
  const app = new Hono<AppEnv>();

  app.get("/experiments/:id", async (c) => {
    const id = c.req.param("id");
    const shared = await isSharedLink(c, id, "page");
    const visitor = shared ? { caller: ANYONE, session: null } : await visitorOf(c);
    return visitor === null ? redirectToLogin(c) : showExperiment(c, id, visitor, { shared });
  });

  app.post("/experiments/:id/share", async (c) => {
    const id = c.req.param("id");
    const visitor = await visitorOf(c);
    if (visitor === null || visitor.session === null || sessionSecret === null) return redirectToLogin(c);
    const fields = await readForm(c);
    if (!fields.ok) return refuse(fields.failure);
    const form = shareForm.safeParse(Object.fromEntries(fields.value));
    const { credential, reference: by } = visitor.session;
    const lastDay = lastShareDay(clock(), credential.expiresAt);
    if (!form.success || isPast(form.data.until, clock()) || form.data.until > lastDay) {
      const notice = `The date is missing or out of range. Choose a day from today through ${lastDay} (UTC).`;
      return showExperiment(c, id, visitor, { notice, status: 400 });
    }
    const { kind, until } = form.data;
    const experiment = await getExperiment(database, id, visitor.caller.environmentKey);
    if (experiment === null) return showExperiment(c, id, visitor);
    const { environmentKey } = experiment;
    const signature = await signShareLink(sessionSecret, { kind, experimentId: id, environmentKey, until, by });
    const path = kind === "page" ? `/experiments/${id}` : `/v1/experiments/${id}/exposures.${kind}`;
    c.var.log("info", "link.made", { experiment_id: id, kind, until, by: visitor.caller.name });
    const link = `${originOf(c)}${path}?${new URLSearchParams({ until, by, signature })}`;
    return showExperiment(c, id, visitor, { link });
  });

  for (const request of manualRequests)
    app.post(`/experiments/:id/${request}`, async (c) => {
      const id = c.req.param("id");
      const visitor = await visitorOf(c);
      if (visitor === null) return redirectToLogin(c);
      const { caller } = visitor;
      if (!hasRight(caller, "write")) {
        const detail = "Your access is read-only. Sign in with ADMIN_TOKEN or a key with the role write.";
        return refuse({ kind: "forbidden", detail });
      }
      const refreshing = { database, dispatcher, minIntervalMs: settings.refreshMinIntervalMs, clock };
      const requested = await requestManualRefresh(refreshing, c.var.log, request, id, caller.environmentKey);
      if (requested.ok && request === "recount")
        c.var.log("info", "recount.requested", { experiment_id: id, by: caller.name });
      if (wantsJson(c)) {
        if (!requested.ok) return refuse(requested.failure);
        return c.json({ experiment_id: id, refresh_requested_at: isoTime(requested.value) }, 202);
      }
      // Without the script, the page itself shows the outcome.
      if (requested.ok) return c.redirect(`/experiments/${encodeURIComponent(id)}`, 303);
      const { status, detail, headers } = problemOf(requested.failure);
      return showExperiment(c, id, visitor, { notice: detail, status, headers });
    });

  async function showExperiment(
    c: Context<AppEnv>,
    id: string,
    { caller, session }: Visitor,
    { shared = false, link, notice, ...options }: Shown = {},
  ): Promise<Response> {
    const signedIn = session !== null;
    const [experiment, summary] = await Promise.all([
      getExperiment(database, id, caller.environmentKey),
      summaries.read(id),
    ]);
    if (experiment === null || summary === null) {
      const main = markup`<h1>Not found</h1><p>This experiment does not exist, or you do not have access to it.</p>`;
      return htmlResponse(c, { title: "Not found", signedIn, shared }, main, { status: 404 });
    }
    const { series } = pageQuery.parse(c.req.query());
    const { until = "", by = "", signature = "" } = c.req.query();
    const now = clock();
    const main = experimentPage({
      ...{ experiment, summary, series, now, sweepMs: settings.sweepMs },
      link: link ?? null,
      notice: notice ?? null,
      shareQuery: shared ? new URLSearchParams({ until, by, signature }) : null,
      may: {
        refresh: hasRight(caller, "write"),
        shareUntil: session === null ? null : lastShareDay(now, session.credential.expiresAt),
      },
      query: shared ? null : queryOf(experiment, summary.asOf),
    });
    return htmlResponse(c, { title: experiment.name, signedIn, shared }, main, options);
  }

  function queryOf({ environmentKey, featureName, startedAt }: Experiment, asOf: number | null) {
    if (startedAt === null || asOf === null) return null;
    const window = { from: startedAt, to: asOf };
    return describeExposureQuery(warehouse.table, { environmentKey, featureName, window });
  }

  return app;
}
