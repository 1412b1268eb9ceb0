import type { Page } from "playwright-core";
import { createDemo } from "../../src/dev/demo.ts";
import { openPage } from "../support/browser.ts";
import { cleanups, type Run, start } from "../support/local-run.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { until } from "../support/worker.ts";

// The product as `npm start` runs it, on a warehouse whose responses can be made to fail.

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const MARKUP = `<script>alert(1)</script><img src=x onerror=alert(2)>"'\`\${7*7}&amp;`;
/** A name that reverses the text after it. */
export const REVERSING = "abc\u202edef \u05e9\u05dc\u05d5\u05dd";
export const LONG = "long-".repeat(40);
/** A name that no line can break. */
export const UNBROKEN = "unbroken".repeat(25);

export type Site = {
  run: Run;
  warehouse: TestWarehouse;
  proxy: WarehouseProxy;
  /** Opens a page, signed in as the admin by default. */
  open(path: string, options?: Visit): Promise<Page>;
};

/** The options of an opened page. */
export type Visit = {
  viewport?: { width: number; height: number };
  dark?: boolean;
  script?: boolean;
  token?: string | null;
  /** The origin to which the browser connects, if not the product's own. */
  origin?: string;
};

export let site: Site;
const cookies = new Map<string, { name: string; value: string; url: string }>();

export async function startSite(): Promise<void> {
  const warehouse = await createWarehouse();
  const proxy = await startProxy(warehouse.settings);
  cleanups.push(() => proxy.stop());
  const run = await start({
    DEMO: 0,
    CLICKHOUSE_URL: proxy.settings.url.href,
    CLICKHOUSE_DATABASE: warehouse.settings.database,
    CLICKHOUSE_USER: users.owner.name,
    CLICKHOUSE_PASSWORD: users.owner.password,
  });
  await run.ready();
  site = { run, warehouse, proxy, open };
}

async function open(
  path: string,
  { viewport, dark, script, token = "dev-admin", origin = site.run.origin }: Visit = {},
): Promise<Page> {
  const page = await openPage({
    baseURL: origin,
    colorScheme: dark === true ? "dark" : "light",
    javaScriptEnabled: script !== false,
    ...(viewport === undefined ? {} : { viewport }),
  });
  if (token !== null) await page.context().addCookies([await sessionOf(token)]);
  await page.goto(path).catch((cause: unknown) => {
    // The output shows why the service ended, if it did.
    throw new Error(`Cannot open ${path}: ${site.run.output.stdout.slice(-1000)}${site.run.output.stderr}`, {
      cause,
    });
  });
  return page;
}

/** The session cookie for a token. Each token signs in once. */
async function sessionOf(token: string) {
  const existing = cookies.get(token);
  if (existing !== undefined) return existing;
  const { origin } = site.run;
  const body = new URLSearchParams({ token, next: "/" });
  const response = await fetch(`${origin}/login`, {
    method: "POST",
    headers: { Origin: origin },
    body,
    redirect: "manual",
  });
  const [, name = "", value = ""] = /^([^=]+)=([^;]+)/.exec(response.headers.get("set-cookie") ?? "") ?? [];
  if (response.status !== 303 || name === "")
    throw new Error(`Cannot sign in: ${response.status} ${await response.text()}`);
  const cookie = { name, value, url: origin };
  cookies.set(token, cookie);
  return cookie;
}

/** Creates an experiment. By default, its feature has the same name as its id. */
export async function put(id: string, definition: Record<string, unknown> = {}): Promise<void> {
  const variants = ["control", "treatment"].map((key) => ({ key, weight: 50 }));
  const body = { environment_key: "states", feature_name: id, variants, ...definition };
  const { status, json } = await site.run.call("PUT", `/v1/experiments/${id}`, body);
  if (status >= 300) throw new Error(`PUT ${id}: ${status} ${JSON.stringify(json)}`);
}

/** Inserts this many new identities for each variant, one per minute. */
export async function expose(
  feature: string,
  identities: ReadonlyMap<string, number>,
  from: number,
  environment = "states",
): Promise<void> {
  await site.warehouse.insert(
    [...identities].flatMap(([value, count]) =>
      Array.from({ length: count }, (_, index) => ({
        environment_key: environment,
        feature_name: feature,
        timestamp: from + index * 60_000,
        identifier: `${value}-${from}-${index}`,
        value,
      })),
    ),
  );
}

/** Waits until no refresh is pending. */
export function settled(id: string) {
  return until(
    () => site.run.exposures(id),
    ({ refresh_requested_at }) => refresh_requested_at === null,
  );
}

/** Creates an experiment in each state that pages describe. */
export async function fillSite(): Promise<void> {
  const { warehouse, run, proxy } = site;
  const now = Date.now();
  const at = (time: number) => new Date(time).toISOString();
  const both = (count: number) => new Map(["control", "treatment"].map((key) => [key, count]));
  const demo = createDemo(warehouse.settings, new URL(run.origin), "dev-admin");
  await demo.addTraffic();
  await demo.createExperiments();

  await put("draft");
  await put("scheduled", { started_at: at(now + DAY) });
  await put("empty", { started_at: at(now - DAY / 2) });
  for (const id of ["failed", "live", "plain", "over", "settling", "sharing"])
    await expose(id, both(20), now - 5 * HOUR);
  for (const id of ["failed", "live", "plain", "sharing"]) await put(id, { started_at: at(now - 6 * HOUR) });
  await put("over", { started_at: at(now - 6 * HOUR), ended_at: at(now - 2 * HOUR) });
  await put("settling", { started_at: at(now - 6 * HOUR), ended_at: at(now - HOUR / 2) });

  const names = new Map([MARKUP, REVERSING, LONG, "=1+1"].map((key, index) => [key, 20 - index]));
  await expose(MARKUP, names, now - 5 * HOUR, REVERSING);
  await put("hostile", {
    name: MARKUP + LONG,
    feature_name: MARKUP,
    environment_key: REVERSING,
    started_at: at(now - 6 * HOUR),
    variants: [MARKUP, REVERSING, LONG].map((key) => ({ key, weight: 1 })),
    metrics: [MARKUP, REVERSING, LONG].map((name, index) => ({
      key: `m${index}`,
      name,
      event: name,
      aggregation: "sum",
      expected_direction: "not_increase",
    })),
  });
  await put("reversed", { name: REVERSING, feature_name: LONG, environment_key: MARKUP });
  await Promise.all(Array.from({ length: 25 }, (_, index) => put(`many-${index}`, { environment_key: "many" })));

  await settled("failed");
  for (const id of ["failed", "broken"]) proxy.injectFault((_, response) => response.destroy(), id);
  await put("broken", { started_at: at(now - HOUR) });
  await run.call("POST", "/v1/experiments/failed/exposures/refresh");
  for (const id of ["failed", "broken"])
    await until(
      () => run.exposures(id),
      ({ last_error_at }) => last_error_at !== null,
    );
  const refreshed = ["checkout-cta", "onboarding-flow", "pricing-page", "empty", "live", "plain", "over", "settling"];
  for (const id of [...refreshed, "sharing", "hostile"]) await settled(id);
}
