import { bucketsOf, type Window } from "./buckets.ts";
import { type Check, checkNames, checkStatuses, type Figure, figureNames, type Health, worstStatus } from "./health.ts";
import { serialise } from "./serialise.ts";
import { type ExposureCount, summarise } from "./summary.ts";

/**
 * The text that `serialise` once wrote, from what JSON made of it. The numbers are counted again from each bucket's
 * new identities: null if they do not add up, or are not those of the window. What the checks found is taken as it is, since
 * it rests on more than the numbers.
 * @param configured the variants' keys: JSON loses the order of keys like `2`, so they get that of a refresh
 */
export function restoreExposures(exposures: unknown, window: Window, configured: readonly string[]): string | null {
  const points = property(property(exposures, "timeseries"), "points");
  const excluded = property(exposures, "excluded_identities");
  if (!Array.isArray(points) || points.length !== bucketsOf(window).count || !isCount(excluded)) return null;

  const counts: ExposureCount[] = [{ multiple: true, identities: excluded }];
  for (const point of points) {
    const bucket = Date.parse(String(property(point, "bucket")));
    for (const [variant, identities] of Object.entries(Object(property(point, "new_identities")))) {
      if (!isCount(identities)) return null;
      counts.push({ multiple: false, variant, bucket, identities });
    }
  }
  const inFile = Object.keys(Object(property(exposures, "variants")));
  const keys = new Set([...configured.filter((key) => inFile.includes(key)), ...inFile.sort()]);
  const health = restoreHealth(property(exposures, "health"), keys);
  if (health === null) return null;
  const text = serialise(summarise(counts, window, keys), health);
  return isSame(JSON.parse(text), exposures) ? text : null;
}

function restoreHealth(health: unknown, keys: ReadonlySet<string>): Health | null {
  const found = property(health, "checks");
  const order = new Map([...keys].map((key, index) => [key, index]));
  const checks: Check[] = [];
  for (const [index, name] of checkNames.entries()) {
    const check: unknown = Array.isArray(found) ? found[index] : null;
    const status = checkStatuses.find((status) => status === property(check, "status"));
    const detail = property(check, "detail");
    if (status === undefined || typeof detail !== "string") return null;
    const figures: Record<string, Figure> = {};
    for (const figure of figureNames[name]) figures[figure] = restoreFigure(property(check, figure), order);
    checks.push({ name, status, detail, figures });
  }
  return { status: worstStatus(checks), checks };
}

/** What is no figure becomes one that is not the same. */
function restoreFigure(figure: unknown, order: ReadonlyMap<string, number>): Figure {
  if (typeof figure === "number" || typeof figure === "string") return figure;
  if (typeof figure !== "object" || figure === null) return null;
  const entries = Object.entries(figure).sort(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  return new Map(entries.map(([key, value]) => [key, Number(value)]));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function property(value: unknown, name: string): unknown {
  return Object.entries(Object(value)).find(([key]) => key === name)?.[1];
}

/** Whether two JSON values are the same, whatever the order of their keys. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  const [theirs, ours] = [new Map(Object.entries(other)), Object.entries(one)];
  return (
    Array.isArray(one) === Array.isArray(other) &&
    ours.length === theirs.size &&
    ours.every(([key, value]) => theirs.has(key) && isSame(value, theirs.get(key)))
  );
}
