import type { Context } from "hono";
import { hasRight } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import type { AppEnv } from "../http/request-context.ts";
import { htmlResponse } from "./html-response.ts";
import { markup } from "./markup.ts";
import { forbiddenPage, READ_ONLY } from "./message-pages.ts";
import { viewWarehouse } from "./offered-features.ts";
import { askToSignIn } from "./redirects.ts";
import type { Visitors } from "./visitors.ts";
import { warehouseSection } from "./warehouse-section.ts";

/** A visitor opens this page to wait for ClickHouse. */
const LIMIT_MS = 15_000;

export async function showWarehouse(deps: AppDeps, { visitorOf }: Visitors, c: Context<AppEnv>): Promise<Response> {
  const visitor = await visitorOf(c, "write");
  if (visitor === null) return askToSignIn(c);
  const { caller, signedIn } = visitor;
  if (!hasRight(caller, "write")) return forbiddenPage(c, { signedIn }, READ_ONLY);
  const view = await viewWarehouse(deps, caller, LIMIT_MS);
  return htmlResponse(
    c,
    { title: "Warehouse", signedIn },
    markup`<h1>Warehouse</h1>${warehouseSection(view, deps.warehouse.table)}`,
  );
}
