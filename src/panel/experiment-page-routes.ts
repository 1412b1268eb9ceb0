import { type Context, Hono } from "hono";
import * as z from "zod/mini";
import type { Experiment } from "../experiment.ts";
import { withFallback } from "../fallback.ts";
import { ANYONE, hasRight, isInScope } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { problemOf, refuse } from "../http/problem.ts";
import { type AppEnv, originOf } from "../http/request-context.ts";
import { isoTime } from "../http/responses.ts";
import { requestManualRefresh } from "../refresh/request-refresh.ts";
import { manualRequests } from "../store/refresh-requests.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { describeCountQuery } from "../warehouse/count-metrics.ts";
import { describeIdentitiesQuery } from "../warehouse/identities-query.ts";
import { experimentPage } from "./experiment-page.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { viewFlagsmith } from "./flagsmith-section.ts";
import { readForm } from "./forms.ts";
import { htmlResponse, type PageOptions } from "./html-response.ts";
import { safeText } from "./markup.ts";
import { experimentNotFound, forbiddenPage, READ_ONLY, refusedFormPage } from "./message-pages.ts";
import { hasJustWritten, rememberWrite } from "./own-writes.ts";
import { askToSignIn, wantsJson } from "./redirects.ts";
import { seriesNames } from "./series.ts";
import { downloadNames, isPast, lastShareDay, shareKinds, signShareLink } from "./share-link.ts";
import type { Visitor, Visitors } from "./visitors.ts";

const pageQuery = z.object({ series: withFallback(z.enum(seriesNames), "cumulative") });
const shareForm = z.object({ kind: z.enum(shareKinds), until: z.iso.date() });

type Shown = PageOptions & {
  shared?: boolean;
  /** A share link that has just been created. */
  link?: string;
  /** The reason why a form was refused. */
  notice?: string;
};

/** The page of an experiment, and its forms: refresh, recount and share. */
export function experimentPageRoutes(deps: AppDeps, { visitorOf, findShared }: Visitors): Hono<AppEnv> {
  const { database, summaries, settings, warehouse, clock } = deps;
  const { sessionSecret } = settings;
  const app = new Hono<AppEnv>();

  app.get("/experiments/:id", async (c) => {
    const id = c.req.param("id");
    const shared = await findShared(c, "page", () => find(c, id));
    if (shared !== null) return show(c, shared, { caller: ANYONE, session: null, signedIn: null }, { shared: true });
    const visitor = await visitorOf(c);
    return visitor === null ? askToSignIn(c) : show(c, await find(c, id), visitor);
  });

  app.post("/experiments/:id/share", async (c) => {
    const id = c.req.param("id");
    const visitor = await visitorOf(c);
    if (visitor === null || visitor.session === null || sessionSecret === null) return askToSignIn(c);
    const fields = await readForm(c);
    if (!fields.ok) return refusedFormPage(c, { signedIn: true }, fields.failure);
    const form = shareForm.safeParse(Object.fromEntries(fields.value));
    const { credential, reference: by } = visitor.session;
    const lastDay = lastShareDay(clock(), credential.expiresAt);
    const summary = await find(c, id);
    if (!form.success || isPast(form.data.until, clock()) || form.data.until > lastDay) {
      const notice = `The date is missing or out of range. Choose a day from today through ${lastDay} (UTC).`;
      return show(c, summary, visitor, { notice, status: 400 });
    }
    const { kind, until } = form.data;
    if (summary === null || !isInScope(visitor.caller, summary.experiment)) return show(c, null, visitor);
    const { environmentKey } = summary.experiment;
    const signature = await signShareLink(sessionSecret, { kind, experimentId: id, environmentKey, until, by });
    const path = kind === "page" ? `/experiments/${id}` : `/v1/experiments/${id}/${downloadNames[kind]}`;
    c.var.log("info", "link.made", { experiment_id: id, kind, until, by: visitor.caller.name });
    const link = `${originOf(c)}${path}?${new URLSearchParams({ until, by, signature })}`;
    return show(c, summary, visitor, { link });
  });

  for (const request of manualRequests)
    app.post(`/experiments/:id/${request}`, async (c) => {
      const id = c.req.param("id");
      const visitor = await visitorOf(c, "write");
      if (visitor === null) return askToSignIn(c);
      const { caller } = visitor;
      if (!hasRight(caller, "write")) {
        if (wantsJson(c)) return refuse({ kind: "forbidden", detail: READ_ONLY });
        return forbiddenPage(c, { signedIn: visitor.signedIn }, READ_ONLY);
      }
      const requested = await requestManualRefresh(deps, { caller, log: c.var.log }, request, id);
      if (requested.ok) rememberWrite(c);
      if (wantsJson(c)) {
        if (!requested.ok) return refuse(requested.failure);
        return c.json({ experiment_id: id, refresh_requested_at: isoTime(requested.value) }, 202);
      }
      // Without the script, the page itself shows the outcome.
      if (requested.ok) return c.redirect(`/experiments/${encodeURIComponent(id)}`, 303);
      const { status, detail, headers } = problemOf(requested.failure);
      return show(c, await find(c, id), visitor, { notice: detail, status, headers });
    });

  function find(c: Context<AppEnv>, id: string): Promise<StoredSummary | null> {
    return hasJustWritten(c) ? summaries.readOnPrimary(id) : summaries.read(id);
  }

  /** Shows the experiment if the visitor may see it. Scope and numbers come from one read, like everything on the page. */
  async function show(
    c: Context<AppEnv>,
    summary: StoredSummary | null,
    { caller, session, signedIn }: Visitor,
    { shared = false, link, notice, ...options }: Shown = {},
  ): Promise<Response> {
    if (summary === null || !isInScope(caller, summary.experiment)) return experimentNotFound(c, { signedIn, shared });
    const { series } = pageQuery.parse(c.req.query());
    const { until = "", by = "", signature = "" } = c.req.query();
    const now = clock();
    const { experiment } = summary;
    const isSynced = experiment.source === "flagsmith" && !shared;
    const main = experimentPage({
      experiment,
      summary,
      series,
      now,
      sweepMs: settings.sweepMs,
      flagsmith: isSynced ? await viewFlagsmith(database, settings.flagsmith, caller.environmentKey) : null,
      link: link ?? null,
      notice: notice ?? null,
      shareQuery: shared ? new URLSearchParams({ until, by, signature }) : null,
      may: {
        write: hasRight(caller, "write"),
        shareUntil: session === null ? null : lastShareDay(now, session.credential.expiresAt),
      },
      ...(shared ? { query: null, identitiesQuery: null } : queriesOf(experiment, summary.asOf)),
    });
    return htmlResponse(c, { title: safeText(experiment.name), signedIn, shared }, main, options);
  }

  function queriesOf(experiment: Experiment, asOf: number | null): Pick<ExperimentView, "query" | "identitiesQuery"> {
    const { environmentKey, featureName, startedAt, metrics } = experiment;
    if (startedAt === null || asOf === null) return { query: null, identitiesQuery: null };
    const { table } = warehouse;
    const query = { environmentKey, featureName, window: { from: startedAt, to: asOf } };
    return {
      query: describeCountQuery(table, query, metrics),
      identitiesQuery: (dimension, value) => describeIdentitiesQuery(table, query, dimension, value),
    };
  }

  return app;
}
