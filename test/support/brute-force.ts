import type { Collection } from "../../src/exposures/summary.ts";
import type { Event } from "./warehouse.ts";

/** The part of an experiment that determines its counts. */
export type Query = {
  environment_key: string;
  feature_name: string;
  variants: readonly string[];
  from: number;
  to: number;
};

const HOUR = 3_600_000;

/** Counts the `exposures` object identity by identity and bucket by bucket, independently of the product's query. */
export function countByBruteForce(events: readonly Event[], query: Query) {
  const relevant = inWindow(events, query).filter(isValid);
  const hourly = query.to - query.from <= 72 * HOUR;
  const bucketOf = (time: number) => {
    const date = new Date(time);
    if (hourly) date.setUTCMinutes(0, 0, 0);
    else date.setUTCHours(0, 0, 0, 0);
    return date.getTime();
  };

  const identities = new Set(relevant.map(({ identifier }) => identifier));
  const firstExposures: { variant: string; bucket: number }[] = [];
  let excluded = 0;
  for (const identity of identities) {
    const own = relevant.filter(({ identifier }) => identifier === identity);
    const variants = new Set(own.map(({ value }) => value));
    if (variants.size > 1) excluded += 1;
    else
      for (const variant of variants)
        firstExposures.push({ variant, bucket: bucketOf(Math.min(...own.map((e) => e.timestamp))) });
  }

  const seen = [...new Set(firstExposures.map(({ variant }) => variant))].filter(
    (key) => !query.variants.includes(key),
  );
  const keys = [...query.variants, ...seen.sort()];
  const entries = (number: (key: string) => number) => new Map(keys.map((key) => [key, number(key)]));
  const points = [];
  for (let bucket = bucketOf(query.from); bucket < query.to; bucket += hourly ? HOUR : 24 * HOUR) {
    points.push({
      bucket: new Date(bucket).toISOString(),
      new_identities: entries((key) => firstExposures.filter((f) => f.variant === key && f.bucket === bucket).length),
      cumulative_identities: entries(
        (key) => firstExposures.filter((f) => f.variant === key && f.bucket <= bucket).length,
      ),
    });
  }
  return {
    total_identities: firstExposures.length,
    excluded_identities: excluded,
    variants: entries((key) => firstExposures.filter((f) => f.variant === key).length),
    timeseries: { granularity: hourly ? "hour" : "day", points },
  };
}

function inWindow(events: readonly Event[], query: Query): Event[] {
  return events.filter(
    (event) =>
      event.environment_key === query.environment_key &&
      event.feature_name === query.feature_name &&
      (event.event ?? "$flag_exposure") === "$flag_exposure" &&
      event.timestamp >= query.from &&
      event.timestamp < query.to,
  );
}

const isValid = ({ identifier, value }: Event) => identifier !== "" && value !== "";

/** Counts the collection statistics of the same events by brute force. */
export function collectionByBruteForce(events: readonly Event[], query: Query): Collection {
  const all = inWindow(events, query);
  const valid = all.filter(isValid);
  const late = [...Map.groupBy(valid, ({ identifier }) => identifier).values()].filter((own) => {
    const first = Math.min(...own.map(({ timestamp }) => timestamp));
    const firsts = own.filter(({ timestamp }) => timestamp === first);
    return firsts.every(({ timestamp, collected_at }) => (collected_at ?? timestamp) - timestamp > HOUR);
  });
  return {
    latestExposureAt: valid.length === 0 ? null : Math.max(...valid.map(({ timestamp }) => timestamp)),
    lateIdentities: late.length,
    invalidEvents: all.length - valid.length,
    events: all.length,
  };
}

/**
 * Converts the `exposures` of a parsed response to the shape of `countByBruteForce`. Maps hold the variants, because an
 * object would lose the key `__proto__`.
 */
export function withMaps({
  health: _,
  ...exposures
}: {
  health: object;
  variants: Record<string, number>;
  timeseries: { points: { new_identities: object; cumulative_identities: object }[] };
}) {
  const map = (object: object) => new Map(Object.entries(object));
  return {
    ...exposures,
    variants: map(exposures.variants),
    timeseries: {
      ...exposures.timeseries,
      points: exposures.timeseries.points.map((point) => ({
        ...point,
        new_identities: map(point.new_identities),
        cumulative_identities: map(point.cumulative_identities),
      })),
    },
  };
}
