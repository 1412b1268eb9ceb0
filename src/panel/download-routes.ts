import { type Context, Hono } from "hono";
import { splitChangeIn } from "../experiment.ts";
import type { Authentication } from "../http/authentication.ts";
import { parseInput } from "../http/body.ts";
import { isInScope } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { exposuresETag, matchesETag } from "../http/etag.ts";
import { type Refusal, refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { readResults } from "../http/results-json.ts";
import { failed, ok, type Result } from "../result.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { writeCausesCsv } from "./causes-csv.ts";
import { drawChart } from "./chart.ts";
import { chartQuery, resultsChartQuery } from "./chart-query.ts";
import { writeCsv } from "./csv.ts";
import { hasJustWritten } from "./own-writes.ts";
import { PALETTES } from "./palettes.ts";
import { type Exposures, parseExposures } from "./parse-exposures.ts";
import { drawResults } from "./results-chart.ts";
import { writeResultsCsv } from "./results-csv.ts";
import type { DownloadKind } from "./share-link.ts";
import type { Visitors } from "./visitors.ts";

const NO_EXPOSURES: Exposures = {
  total: 0,
  excluded: 0,
  granularity: "day",
  buckets: [],
  variants: [],
  health: { status: "waiting", checks: [] },
};

function exposuresOf({ exposures, experiment }: StoredSummary): Exposures | null {
  const configuredKeys = experiment.variants.map(({ key }) => key);
  return exposures === null ? null : parseExposures(exposures, configuredKeys);
}

/** The share link's own parameters. */
const withoutLink = ({ until: _, by: __, signature: ___, ...parameters }: Record<string, string>) => parameters;

/**
 * An experiment's exposures, causes and results as SVG or CSV, for a client with a token, a signed-in visitor, or a share
 * link.
 */
export function downloadRoutes(
  { summaries, settings, clock }: AppDeps,
  authentication: Authentication,
  { visitorOf, findShared }: Visitors,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const cacheControl = `${settings.publicRead ? "public" : "private"}, max-age=${settings.cacheSeconds}`;

  app.get("/v1/experiments/:id/exposures.svg", (c) => {
    const query = parseInput(chartQuery, withoutLink(c.req.query()));
    if (!query.ok) return refuse(query.failure);
    const { theme, ...size } = query.value;
    return respond(c, "svg", (summary) =>
      drawChart(exposuresOf(summary) ?? NO_EXPOSURES, {
        ...size,
        palette: PALETTES[theme],
        maxPoints: null,
        splitChangedAt: splitChangeIn(summary.experiment, summary.asOf),
        heading: { name: summary.experiment.name, asOf: summary.asOf },
      }).toString(),
    );
  });

  app.get("/v1/experiments/:id/results.svg", (c) => {
    const query = parseInput(resultsChartQuery, withoutLink(c.req.query()));
    if (!query.ok) return refuse(query.failure);
    const { theme, width } = query.value;
    return respond(c, "results.svg", (summary) => {
      const { results, asOf } = readResults(summary);
      const health = exposuresOf(summary)?.health.status ?? null;
      const { name } = summary.experiment;
      return drawResults(results, { width, palette: PALETTES[theme], name, asOf, health }).toString();
    });
  });

  app.get("/v1/experiments/:id/exposures.csv", (c) => respond(c, "csv", (summary) => writeCsv(exposuresOf(summary))));

  app.get("/v1/experiments/:id/causes.csv", (c) =>
    respond(c, "causes.csv", (summary) => writeCausesCsv(exposuresOf(summary))),
  );

  app.get("/v1/experiments/:id/results.csv", (c) =>
    respond(c, "results.csv", (summary) => writeResultsCsv(readResults(summary).results)),
  );

  async function respond(
    c: Context<AppEnv>,
    kind: DownloadKind,
    write: (summary: StoredSummary) => string,
  ): Promise<Response> {
    const id = c.req.param("id") ?? "";
    const found = await findVisible(c, id, kind);
    if (!found.ok) return refuse(found.failure);
    const summary = found.value;
    const etag = exposuresETag(summary, clock());
    const isPicture = kind.endsWith("svg");
    const headers = {
      ETag: etag,
      "Cache-Control": cacheControl,
      Vary: "Authorization, Cookie",
      "Content-Type": isPicture ? "image/svg+xml" : "text/csv; charset=utf-8",
      "Content-Security-Policy": `default-src 'none'; frame-ancestors ${isPicture ? "*" : "'none'"}`,
      ...(isPicture ? {} : { "Content-Disposition": `attachment; filename="${id}.${kind}"` }),
    };
    if (matchesETag(c.req.header("If-None-Match"), etag)) return new Response(null, { status: 304, headers });
    return new Response(write(summary), { headers });
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
