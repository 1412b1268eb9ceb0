import type { Collection } from "../../src/exposures/summary.ts";
import type { Event } from "./warehouse.ts";

/** What an experiment is, for the count below. */
export type Question = {
  environment_key: string;
  feature_name: string;
  variants: readonly string[];
  from: number;
  to: number;
};

const HOUR = 3_600_000;

/**
 * The `exposures` object, counted the slow and obvious way: identity by identity, bucket by bucket, with no regard
 * for how the product does it.
 */
export function countByBruteForce(events: readonly Event[], question: Question) {
  const relevant = inWindow(events, question).filter(isValid);
  const hourly = question.to - question.from <= 72 * HOUR;
  const start = (time: number) => {
    const date = new Date(time);
    if (hourly) date.setUTCMinutes(0, 0, 0);
    else date.setUTCHours(0, 0, 0, 0);
    return date.getTime();
  };

  const identities = new Set(relevant.map(({ identifier }) => identifier));
  const firstOf: { variant: string; bucket: number }[] = [];
  let excluded = 0;
  for (const identity of identities) {
    const own = relevant.filter(({ identifier }) => identifier === identity);
    const variants = new Set(own.map(({ value }) => value));
    if (variants.size > 1) excluded += 1;
    else
      for (const variant of variants)
        firstOf.push({ variant, bucket: start(Math.min(...own.map((e) => e.timestamp))) });
  }

  const seen = [...new Set(firstOf.map(({ variant }) => variant))].filter((key) => !question.variants.includes(key));
  const keys = [...question.variants, ...seen.sort()];
  const entries = (number: (key: string) => number) => new Map(keys.map((key) => [key, number(key)]));
  const points = [];
  for (let bucket = start(question.from); bucket < question.to; bucket += hourly ? HOUR : 24 * HOUR) {
    points.push({
      bucket: new Date(bucket).toISOString(),
      new_identities: entries((key) => firstOf.filter((f) => f.variant === key && f.bucket === bucket).length),
      cumulative_identities: entries((key) => firstOf.filter((f) => f.variant === key && f.bucket <= bucket).length),
    });
  }
  return {
    total_identities: firstOf.length,
    excluded_identities: excluded,
    variants: entries((key) => firstOf.filter((f) => f.variant === key).length),
    timeseries: { granularity: hourly ? "hour" : "day", points },
  };
}

function inWindow(events: readonly Event[], question: Question): Event[] {
  return events.filter(
    (event) =>
      event.environment_key === question.environment_key &&
      event.feature_name === question.feature_name &&
      (event.event ?? "$flag_exposure") === "$flag_exposure" &&
      event.timestamp >= question.from &&
      event.timestamp < question.to,
  );
}

const isValid = ({ identifier, value }: Event) => identifier !== "" && value !== "";

/** How those events came in, counted in the same way. */
export function collectionByBruteForce(events: readonly Event[], question: Question): Collection {
  const all = inWindow(events, question);
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

/** The numbers of the answer as parsed JSON, in the same shape: Maps where keys are variants, since JSON objects may hold any key. */
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
