import { bucketsOf, type Window } from "./buckets.ts";
import { type Check, checkNames, checkStatuses, type Figure, figureNames, type Health, worstStatus } from "./health.ts";
import { serialise } from "./serialise.ts";
import { type ExposureCount, summarise } from "./summary.ts";

/**
 * Restores the text of `serialise` from its parsed JSON. The numbers are recounted from each bucket's new identities.
 * Returns null if they do not add up, belong to another window, or come with other fields. The statuses, sentences and
 * figures of the checks are kept, because they depend on more than these numbers.
 * @param configured the keys of the configured variants, in order, because JSON.parse reorders keys like `2`
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
  const present = Object.keys(Object(property(exposures, "variants")));
  const keys = new Set([...configured.filter((key) => present.includes(key)), ...present.sort()]);
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

/** Restores one figure. An invalid one becomes another value, so that the final comparison fails. */
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

/** Compares two JSON values. The order of keys does not matter. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  const [entries, others] = [Object.entries(one), new Map(Object.entries(other))];
  return (
    Array.isArray(one) === Array.isArray(other) &&
    entries.length === others.size &&
    entries.every(([key, value]) => others.has(key) && isSame(value, others.get(key)))
  );
}
