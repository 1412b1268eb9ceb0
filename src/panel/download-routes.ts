import { type Context, Hono } from "hono";
import type { Experiment } from "../experiment.ts";
import { exposuresETag, matchesETag } from "../http/responses.ts";
import type { AppDeps } from "../app.ts";
import { parseInput } from "../http/body.ts";
import { refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { chartQuery } from "../http/schemas.ts";
import type { SignIn } from "../http/authentication.ts";
import { getExperiment } from "../store/experiments.ts";
import { getSummary } from "../store/summaries.ts";
import { drawChart } from "./chart.ts";
import { writeCsv } from "./csv.ts";
import { type Numbers, readNumbers } from "./numbers.ts";
import { PALETTES } from "./palettes.ts";
import { createVisitors } from "./visitors.ts";

const NO_NUMBERS: Numbers = {
  ...{ total: 0, excluded: 0, granularity: "day", buckets: [], variants: [] },
  health: { status: "waiting", checks: [] },
};

/** An experiment's exposures as a picture and as a table: for who has a token, has signed in, or was sent a link. */
export function downloadRoutes(deps: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const { database, settings, clock } = deps;
  const { visitorOf, isSharedLink } = createVisitors(deps, signIn);
  const app = new Hono<AppEnv>();
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;

  app.get("/:id/exposures.svg", (c) => {
    const { until: _, signature: __, ...own } = c.req.query();
    const query = parseInput(chartQuery, own);
    if (!query.ok) return refuse(query.failure);
    const { theme, ...size } = query.value;
    return answer(c, "svg", "image/svg+xml", (numbers, { name }, asOf) =>
      drawChart(numbers ?? NO_NUMBERS, {
        ...size,
        palette: PALETTES[theme],
        mostPoints: null,
        heading: { name, asOf },
      }).toString(),
    );
  });

  app.get("/:id/exposures.csv", (c) => answer(c, "csv", "text/csv; charset=utf-8", writeCsv));

  async function answer(
    c: Context<AppEnv>,
    kind: "svg" | "csv",
    type: string,
    write: (numbers: Numbers | null, experiment: Experiment, asOf: number | null) => string,
  ): Promise<Response> {
    const id = c.req.param("id") ?? "";
    const environmentKey = await scopeOf(c, id, kind);
    if (environmentKey instanceof Response) return environmentKey;
    const [experiment, summary] = await Promise.all([
      getExperiment(database, id, environmentKey),
      database.recent?.get(id) ?? getSummary(database, id),
    ]);
    if (experiment === null || summary === null) return refuse({ kind: "not_found" });
    const etag = exposuresETag(summary, clock());
    const headers = {
      ETag: etag,
      "Cache-Control": cacheControl,
      Vary: "Authorization, Cookie",
      "Content-Type": type,
      "Content-Security-Policy": `default-src 'none'; frame-ancestors ${kind === "svg" ? "*" : "'none'"}`,
      "X-Content-Type-Options": "nosniff",
      ...(kind === "csv" ? { "Content-Disposition": `attachment; filename="${id}.csv"` } : {}),
    };
    if (matchesETag(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
    const configured = experiment.variants.map(({ key }) => key);
    const numbers = summary.exposures === null ? null : readNumbers(summary.exposures, configured);
    return new Response(write(numbers, experiment, summary.asOf), { headers });
  }

  /** The one environment that whoever asks may see; null: all. */
  async function scopeOf(c: Context<AppEnv>, id: string, kind: "svg" | "csv"): Promise<string | null | Response> {
    if (await isSharedLink(c, id, kind)) return null;
    const visitor = c.req.header("Authorization") === undefined ? await visitorOf(c) : null;
    if (visitor !== null) return visitor.caller.environmentKey;
    const caller = await signIn.identify(c, "read");
    return caller.ok ? caller.value.environmentKey : refuse(caller.failure);
  }

  return app;
}
