import { Hono } from "hono";
import * as z from "zod/mini";
import { statuses } from "../experiment.ts";
import { withFallback } from "../fallback.ts";
import { hasRight } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { loadOpenApi } from "../http/openapi.ts";
import type { AppEnv } from "../http/request-context.ts";
import { onPrimary } from "../store/database.ts";
import { listEnvironments, searchExperiments } from "../store/experiment-list.ts";
import { docsPage } from "./docs-page.ts";
import { viewFlagsmith } from "./flagsmith-section.ts";
import { htmlResponse } from "./html-response.ts";
import { listPage } from "./list-page.ts";
import { offeredFeatures, viewWarehouse } from "./offered-features.ts";
import { hasJustWritten } from "./own-writes.ts";
import { askToSignIn } from "./redirects.ts";
import type { Visitors } from "./visitors.ts";
import { uncoveredSection, warehouseSection } from "./warehouse-section.ts";

/** A parameter that is null if it is missing or invalid. */
const orNull = <Schema extends z.ZodMiniType>(schema: Schema) => withFallback(schema, null);

const listQuery = z.object({
  search: orNull(z.string().check(z.trim(), z.minLength(1))),
  environment: orNull(z.string().check(z.minLength(1))),
  status: orNull(z.enum(statuses)),
  page: withFallback(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(1000)), 1),
});

/** The list does not wait longer for ClickHouse. Without its answer, it shows no features. */
const LIST_WAIT_MS = 300;
/** The first page waits longer, because the warehouse is all that it shows. */
const FIRST_WAIT_MS = 3000;

/** The list of experiments, and the documentation of the API. */
export function listRoutes(deps: AppDeps, { sessions, visitorOf }: Visitors): Hono<AppEnv> {
  const { database, settings, clock } = deps;
  const app = new Hono<AppEnv>();

  app.get("/", async (c) => {
    const visitor = await visitorOf(c);
    if (visitor === null) return askToSignIn(c);
    const { environment, status, search, page } = listQuery.parse(c.req.query());
    const filter = { environmentKey: environment, status, search, page: page - 1 };
    const isWhole = page === 1 && environment === null && status === null && search === null;
    const { caller } = visitor;
    const may = { write: hasRight(caller, "write"), admin: hasRight(caller, "admin") };
    const scope = caller.environmentKey;
    const now = clock();
    const current = hasJustWritten(c) ? onPrimary(database) : database;
    const [found, environments, offered, flagsmith] = await Promise.all([
      searchExperiments(current, { scope, ...filter }, now),
      listEnvironments(current, scope),
      may.write && isWhole ? offeredFeatures(deps, caller, LIST_WAIT_MS) : null,
      viewFlagsmith(database, settings.flagsmith, scope),
    ]);
    const isEmpty = isWhole && found.shown.length === 0;
    const warehouse = !may.write
      ? ""
      : isEmpty
        ? warehouseSection(await viewWarehouse(deps, caller, FIRST_WAIT_MS), deps.warehouse.table)
        : uncoveredSection(offered?.ok ? offered.value.features : []);
    const main = listPage({ ...found, environments, filter, may, warehouse, flagsmith, now });
    return htmlResponse(c, { title: "Experiments", signedIn: visitor.signedIn }, main);
  });

  app.get("/docs", async (c) => {
    const signedIn = sessions && (await sessions.find(c)) !== null;
    return htmlResponse(c, { title: "API reference", signedIn }, docsPage(await loadOpenApi(deps.settings.publicUrl)));
  });

  return app;
}
