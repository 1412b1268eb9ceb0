import { bucketsOf, type Window } from "./buckets.ts";
import { checkStatuses, type StoredHealth, worstStatus } from "./health.ts";
import { isCount, property } from "./json.ts";
import { serialise } from "./serialise.ts";
import { type ExposureCount, summarise } from "./summary.ts";

/**
 * Restores the text of `serialise` from its parsed JSON. The numbers are recounted from each bucket's new identities.
 * Returns null if they do not add up, belong to another window, or come with other fields. The statuses, sentences and
 * figures of the checks are kept, because they depend on more than these numbers.
 * @param configured the keys of the configured variants, in order, because JSON.parse reorders keys like `2`
 */
export function restoreExposures(exposures: unknown, window: Window, configured: readonly string[]): string | null {
  const present = Object.keys(Object(property(exposures, "variants")));
  const keys = new Set([...configured.filter((key) => present.includes(key)), ...present.sort()]);
  const counts = restoreCounts(exposures, window);
  const health = restoreHealth(exposures, keys);
  if (counts === null || health === null) return null;
  const text = serialise(summarise(counts, window, keys), health);
  return isSame(JSON.parse(text), exposures) ? text : null;
}

/** Restores the counts behind a summary. Returns null if they are malformed or belong to another window. */
export function restoreCounts(exposures: unknown, window: Window): ExposureCount[] | null {
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
  return counts;
}

/**
 * Restores the checks, whatever their names and figures: another version may have had others.
 * @param keys the keys of all variants, in order
 */
export function restoreHealth(exposures: unknown, keys: ReadonlySet<string>): StoredHealth | null {
  const found = property(property(exposures, "health"), "checks");
  if (!Array.isArray(found)) return null;
  const order = new Map([...keys].map((key, index) => [key, index]));
  const checks: StoredHealth["checks"][number][] = [];
  for (const check of found) {
    const [name, detail] = [property(check, "name"), property(check, "detail")];
    const status = checkStatuses.find((each) => each === property(check, "status"));
    if (typeof name !== "string" || status === undefined || typeof detail !== "string") return null;
    const figures = Object.entries(Object(check))
      .filter(([key]) => !["name", "status", "detail"].includes(key))
      .map(([key, figure]) => [key, restoreFigure(figure, order)]);
    checks.push({ name, status, detail, figures: Object.fromEntries(figures) });
  }
  return { status: worstStatus(checks), checks };
}

/** Restores the order of numbers by variant, which JSON.parse may have changed, at any depth. */
function restoreFigure(figure: unknown, order: ReadonlyMap<string, number>): unknown {
  if (typeof figure !== "object" || figure === null) return figure;
  if (Array.isArray(figure)) return figure.map((value) => restoreFigure(value, order));
  const entries = Object.entries(figure);
  if (entries.some(([, value]) => typeof value !== "number"))
    return Object.fromEntries(entries.map(([key, value]) => [key, restoreFigure(value, order)]));
  const placeOf = (key: string) => order.get(key) ?? order.size;
  return new Map(entries.sort(([a], [b]) => placeOf(a) - placeOf(b)));
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
