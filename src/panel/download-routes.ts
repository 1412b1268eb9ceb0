import { type Context, Hono } from "hono";
import type { Experiment } from "../experiment.ts";
import type { Authentication } from "../http/authentication.ts";
import { parseInput } from "../http/body.ts";
import { isInScope } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { exposuresETag, matchesETag } from "../http/etag.ts";
import { type Refusal, refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { failed, ok, type Result } from "../result.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { drawChart } from "./chart.ts";
import { chartQuery } from "./chart-query.ts";
import { writeCsv } from "./csv.ts";
import { hasJustWritten } from "./own-writes.ts";
import { PALETTES } from "./palettes.ts";
import { type Exposures, parseExposures } from "./parse-exposures.ts";
import type { Visitors } from "./visitors.ts";

const NO_EXPOSURES: Exposures = {
  ...{ total: 0, excluded: 0, granularity: "day", buckets: [], variants: [] },
  health: { status: "waiting", checks: [] },
};

type DownloadKind = "svg" | "csv";

/** An experiment's exposures as SVG and CSV, for a client with a token, a signed-in visitor, or a share link. */
export function downloadRoutes(
  { summaries, settings, clock }: AppDeps,
  authentication: Authentication,
  { visitorOf, findShared }: Visitors,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;

  app.get("/v1/experiments/:id/exposures.svg", (c) => {
    const { until: _, by: __, signature: ___, ...parameters } = c.req.query();
    const query = parseInput(chartQuery, parameters);
    if (!query.ok) return refuse(query.failure);
    const { theme, ...size } = query.value;
    return respond(c, c.req.param("id"), "svg", "image/svg+xml", (exposures, { name }, asOf) =>
      drawChart(exposures ?? NO_EXPOSURES, {
        ...size,
        palette: PALETTES[theme],
        maxPoints: null,
        heading: { name, asOf },
      }).toString(),
    );
  });

  app.get("/v1/experiments/:id/exposures.csv", (c) =>
    respond(c, c.req.param("id"), "csv", "text/csv; charset=utf-8", writeCsv),
  );

  async function respond(
    c: Context<AppEnv>,
    id: string,
    kind: DownloadKind,
    type: string,
    write: (exposures: Exposures | null, experiment: Experiment, asOf: number | null) => string,
  ): Promise<Response> {
    const found = await findVisible(c, id, kind);
    if (!found.ok) return refuse(found.failure);
    const summary = found.value;
    const { experiment } = summary;
    const etag = exposuresETag(summary, clock());
    const headers = {
      ETag: etag,
      "Cache-Control": cacheControl,
      Vary: "Authorization, Cookie",
      "Content-Type": type,
      "Content-Security-Policy": `default-src 'none'; frame-ancestors ${kind === "svg" ? "*" : "'none'"}`,
      ...(kind === "csv" ? { "Content-Disposition": `attachment; filename="${id}.csv"` } : {}),
    };
    if (matchesETag(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
    const configuredKeys = experiment.variants.map(({ key }) => key);
    const exposures = summary.exposures === null ? null : parseExposures(summary.exposures, configuredKeys);
    return new Response(write(exposures, experiment, summary.asOf), { headers });
  }

  async function findVisible(
    c: Context<AppEnv>,
    id: string,
    kind: DownloadKind,
  ): Promise<Result<StoredSummary, Refusal>> {
    const find = async () =>
      hasJustWritten(c) ? summaries.readOnPrimary(id) : (summaries.cached(id) ?? summaries.read(id));
    const shared = await findShared(c, kind, find);
    if (shared !== null) return ok(shared);
    const visitor = c.req.header("Authorization") === undefined ? await visitorOf(c) : null;
    const caller = visitor === null ? await authentication.authenticate(c, "read") : ok(visitor.caller);
    if (!caller.ok) return caller;
    const summary = await find();
    return summary !== null && isInScope(caller.value, summary.experiment)
      ? ok(summary)
      : failed({ kind: "not_found" });
  }

  return app;
}
