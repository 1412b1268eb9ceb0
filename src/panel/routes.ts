import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Experiment } from "../experiment.ts";
import { statuses } from "../experiment.ts";
import type { AppDeps } from "../app.ts";
import { askForRefresh } from "../http/exposure-routes.ts";
import { refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import type { SignIn } from "../http/authentication.ts";
import { getExperiment } from "../store/experiments.ts";
import { listEnvironments, listForPanel } from "../store/experiment-list.ts";
import { getSummary } from "../store/summaries.ts";
import { describeQuestion } from "../warehouse/exposure-query.ts";
import { assets } from "./assets.ts";
import { seriesNames } from "./chart.ts";
import { docsPage } from "./docs-page.ts";
import { experimentPage } from "./experiment-page.ts";
import { ownFormsOnly, readForm } from "./forms.ts";
import { listPage } from "./list-page.ts";
import { loginPage } from "./login-page.ts";
import { markup } from "./markup.ts";
import { show } from "./html-response.ts";
import { isOver, sharedKinds, signShare } from "./share-link.ts";
import { createVisitors, type Visitor } from "./visitors.ts";

const YEAR_SECONDS = 31_536_000;

const listQuery = z.object({
  search: z.string().trim().min(1).nullable().catch(null).default(null),
  environment: z.string().min(1).nullable().catch(null).default(null),
  status: z.enum(statuses).nullable().catch(null).default(null),
  page: z.coerce.number().int().min(1).max(1000).catch(1),
});
const pageQuery = z.object({ series: z.enum(seriesNames).catch("cumulative") });
const problemBody = z.object({ detail: z.string() });
const shareForm = z.object({ kind: z.enum(sharedKinds), until: z.iso.date() });

/** How an experiment is shown. */
type Showing = {
  shared: boolean;
  /** A link that has just been made. */
  link: string | null;
  /** What came of what was asked for. */
  notice: string | null;
  status: number;
  /** Of the refusal that the page tells of. */
  because: Headers | null;
};

/** The pages, for people. Whoever may not see one is asked to sign in. */
export function panelRoutes(deps: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const { database, settings, clock } = deps;
  const { sessionSecret } = settings;
  const { sessions, visitorOf, isSharedLink } = createVisitors(deps, signIn);
  const app = new Hono<AppEnv>();

  for (const { path, type, content } of Object.values(assets)) {
    const headers = {
      "Content-Type": type,
      "Cache-Control": `public, max-age=${YEAR_SECONDS}, immutable`,
      "X-Content-Type-Options": "nosniff",
    };
    app.get(path, () => new Response(content, { headers }));
  }

  for (const path of ["/login", "/logout", "/experiments/*"]) app.use(path, ownFormsOnly);

  app.get("/login", (c) =>
    show({ title: "Sign in", signedIn: false }, loginPage(nextOf(c.req.query("next")), howTo())),
  );

  app.post("/login", async (c) => {
    const form = await readForm(c);
    if (!form.ok) return refuse(form.failure);
    const next = nextOf(form.value.get("next"));
    if (sessions === null) return show({ title: "Sign in", signedIn: false }, loginPage(next, howTo()), 503);
    const known = await signIn.signInWith(c, (form.value.get("token") ?? "").trim());
    if (!known.ok) {
      const refused = refuse(known.failure);
      const { detail } = problemBody.parse(await refused.json());
      return show({ title: "Sign in", signedIn: false }, loginPage(next, detail), refused.status, refused.headers);
    }
    await sessions.open(c, known.value.sha256);
    return c.redirect(next, 303);
  });

  app.post("/logout", (c) => {
    sessions?.close(c);
    return c.redirect("/login", 303);
  });

  app.get("/docs", async (c) => {
    const signedIn = ((await sessions?.callerOf(c)) ?? null) !== null;
    return show({ title: "API", signedIn }, docsPage());
  });

  app.get("/", async (c) => {
    const known = await visitorOf(c);
    if (known === null) return toLogin(c);
    const { caller, signedIn } = known;
    const query = listQuery.parse(c.req.query());
    const filter = {
      environmentKey: query.environment,
      status: query.status,
      search: query.search,
      page: query.page - 1,
    };
    const now = clock();
    const scope = caller.environmentKey;
    const [found, environments] = await Promise.all([
      listForPanel(database, { scope, ...filter }, now),
      listEnvironments(database, scope),
    ]);
    return show({ title: "Experiments", signedIn }, listPage({ ...found, environments, filter, now }));
  });

  app.get("/experiments/:id", async (c) => {
    const id = c.req.param("id");
    const shared = await isSharedLink(c, id, "page");
    const known = shared ? { caller: signIn.anyone, signedIn: false } : await visitorOf(c);
    if (known === null) return toLogin(c);
    return showExperiment(c, id, known, { shared });
  });

  app.post("/experiments/:id/share", async (c) => {
    const id = c.req.param("id");
    const known = await visitorOf(c);
    if (known === null || !known.signedIn || sessionSecret === null) return toLogin(c);
    const fields = await readForm(c);
    if (!fields.ok) return refuse(fields.failure);
    const form = shareForm.safeParse(Object.fromEntries(fields.value));
    if (!form.success || isOver(form.data.until, clock()))
      return showExperiment(c, id, known, { notice: "Choose a day that is not over, in UTC.", status: 400 });
    const { kind, until } = form.data;
    const experiment = await getExperiment(database, id, known.caller.environmentKey);
    if (experiment === null) return showExperiment(c, id, known);
    const { environmentKey } = experiment;
    const signature = await signShare(sessionSecret, { kind, experimentId: id, environmentKey, until });
    const path = kind === "page" ? `/experiments/${id}` : `/v1/experiments/${id}/exposures.${kind}`;
    c.var.log("info", "link.made", { experiment_id: id, kind, until, by: known.caller.name });
    const link = new URL(`${path}?until=${until}&signature=${signature}`, c.req.url).href;
    return showExperiment(c, id, known, { link });
  });

  app.post("/experiments/:id/refresh", async (c) => {
    const id = c.req.param("id");
    const known = await visitorOf(c);
    if (known === null) return toLogin(c);
    if (!signIn.may(known.caller, "write"))
      return refuse({ kind: "forbidden", detail: "Whoever signs in with this token may only read." });
    const asked = await askForRefresh(deps, c.var.log, id, known.caller.environmentKey);
    if (wantsJson(c)) return asked;
    // Without a script, the page itself says what came of it.
    if (asked.ok) return c.redirect(`/experiments/${encodeURIComponent(id)}`, 303);
    const { detail } = problemBody.parse(await asked.json());
    return showExperiment(c, id, known, { notice: detail, status: asked.status, because: asked.headers });
  });

  async function showExperiment(
    c: Context<AppEnv>,
    id: string,
    { caller, signedIn }: Visitor,
    { shared = false, link = null, notice = null, status = 200, because = null }: Partial<Showing> = {},
  ): Promise<Response> {
    const [experiment, summary] = await Promise.all([
      getExperiment(database, id, caller.environmentKey),
      getSummary(database, id),
    ]);
    if (experiment === null || summary === null) {
      const main = markup`<h1>Not found</h1><p>There is no such experiment, or none for this token.</p>`;
      return show({ title: "Not found", signedIn, shared }, main, 404);
    }
    const { series } = pageQuery.parse(c.req.query());
    const { until = "", signature = "" } = c.req.query();
    const main = experimentPage({
      sharedBy: shared ? new URLSearchParams({ until, signature }) : null,
      ...{ experiment, summary, series, link, notice, now: clock(), sweepMs: settings.sweepMs },
      may: { refresh: signIn.may(caller, "write"), share: signedIn && sessionSecret !== null },
      query: shared ? null : queryOf(experiment, summary.asOf),
    });
    return show({ title: experiment.name, signedIn, shared }, main, status, because);
  }

  function queryOf({ environmentKey, featureName, startedAt }: Experiment, asOf: number | null) {
    if (startedAt === null || asOf === null) return null;
    const window = { from: startedAt, to: asOf };
    return describeQuestion(deps.warehouse.table, { environmentKey, featureName, window });
  }

  function howTo(): string | null {
    return sessions === null ? "Signing in is not set up: set the secret SESSION_SECRET." : null;
  }

  return app;
}

/** Only a path of our own, in characters that a header may hold and that browsers read as they are. */
function nextOf(next: string | null | undefined): string {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next ?? "") ? (next ?? "/") : "/";
}

function toLogin(c: Context<AppEnv>): Response {
  if (wantsJson(c)) return refuse({ kind: "unauthorized", detail: "Sign in first.", challenge: "Bearer" });
  const { pathname, search } = new URL(c.req.url);
  const next = c.req.method === "GET" ? `?next=${encodeURIComponent(pathname + search)}` : "";
  return c.redirect(`/login${next}`, 303);
}

function wantsJson(c: Context<AppEnv>): boolean {
  return /\bapplication\/json\b/.test(c.req.header("Accept") ?? "");
}
