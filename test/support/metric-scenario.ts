import fc from "fast-check";
import { aggregations, type Metric } from "../../src/experiment.ts";
import { HOUR } from "./arbitrary.ts";
import type { Event } from "./warehouse.ts";

/** Event names that need correct quoting. */
const eventNames = ["purchase", 'it\'s \\a "purchase"\n{to:Int64}', "') OR 1 = 1 --", "🧪"];

const numbers = [
  ...["1", "1.0", " 1", "1 ", "\t2.5\n", "-3", "+4", "007", ".5", "5.", "1e3", "1E-3", "-2e+2", "0", "-0", "1e-400"],
];

/** Values that only look like numbers. */
const others = [
  ...[
    "",
    " ",
    "inf",
    "-inf",
    "Infinity",
    "nan",
    "NaN",
    "0x1",
    "0b1",
    "1e400",
    "-1e400",
    "--1",
    "+-1",
    "1_000",
    "1,000",
  ],
  ...["1e", "e5", ".", "-", "- 1", "1 2", "1.2.3", "1e5.5", "1f", "true", "１", "٣", "\u00a01", "1\0", "not a number"],
];

const anyDouble = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(String);

const anyMetric = (index: number): fc.Arbitrary<Metric> =>
  fc.record({
    key: fc.constant(`metric-${index}`),
    name: fc.constant("Metric"),
    event: fc.constantFrom(...eventNames),
    aggregation: fc.constantFrom(...aggregations),
    expectedDirection: fc.constant("increase" as const),
    conversionWindowHours: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, fc.constantFrom(1, 5, 8760)),
    lookbackDays: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.constantFrom(1, 90)),
  });

const anyValue = fc.oneof(fc.constantFrom(...numbers), fc.constantFrom(...others), anyDouble);

const DAY = 24 * HOUR;
/** Distances from a first exposure, in milliseconds, at which an interval of `anyMetric` begins or ends. */
const EDGES = [0, HOUR, 5 * HOUR, 8760 * HOUR, -DAY, -90 * DAY].flatMap((edge) => [edge - 1, edge, edge + 1]);

/** Four metrics, and events of the identities of `scenario` where an interval begins or ends. */
export const metricEvents = fc
  .record({
    metrics: fc.tuple(...[0, 1, 2, 3].map(anyMetric)),
    events: fc.array(
      fc.record({
        identity: fc.nat(13),
        name: fc.constantFrom(...eventNames),
        value: anyValue,
        at: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...EDGES) }, fc.constantFrom("start", "last", "end")),
        environment: fc.oneof({ weight: 12, arbitrary: fc.constant("") }, fc.constant("-other")),
        feature_name: fc.constantFrom("", "another"),
        copies: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 3 })),
      }),
      { minLength: 30, maxLength: 90 },
    ),
  })
  .map(({ metrics, events }) => ({
    metrics,
    /** Builds the events in an environment, for its exposures. */
    eventsFor: (exposures: readonly Event[], environment_key: string, from: number, to: number): Event[] =>
      events.flatMap(({ identity, name, value, at, environment, feature_name, copies }) => {
        const identifier = identity === 0 ? "" : `identity-${identity}`;
        const own = exposures.filter((exposure) => exposure.identifier === identifier && exposure.timestamp >= from);
        const first = Math.min(to, ...own.map(({ timestamp }) => timestamp));
        const edges = { start: from, last: to - 1, end: to };
        const timestamp = typeof at === "string" ? edges[at] : first + at;
        const event = { environment_key: environment_key + environment, feature_name, event: name, identifier, value };
        return new Array<Event>(copies).fill({ ...event, timestamp });
      }),
  }));

/** Five metrics, a window, and exposures and metric events at times where an interval begins or ends. */
export const metricScenario = fc
  .record({
    metrics: fc.tuple(...[0, 1, 2, 3, 4].map(anyMetric)),
    hours: fc.constantFrom(6, 100),
    events: fc.array(
      fc.record({
        isExposure: fc.oneof({ weight: 1, arbitrary: fc.constant(true) }, { weight: 5, arbitrary: fc.constant(false) }),
        identity: fc.oneof(
          { weight: 19, arbitrary: fc.integer({ min: 1, max: 5 }) },
          { weight: 1, arbitrary: fc.constant(0) },
        ),
        variant: fc.oneof(
          { weight: 39, arbitrary: fc.constant(null) },
          { weight: 1, arbitrary: fc.constantFrom("control", "treatment", "") },
        ),
        name: fc.constantFrom(...eventNames),
        value: anyValue,
        hour: fc.oneof(
          { weight: 8, arbitrary: fc.integer({ min: 0, max: 6 }) },
          { weight: 3, arbitrary: fc.constantFrom(-24, -23, -1, 90, 100) },
        ),
        jitter: fc.constantFrom(0, 0, 0, -1, 1),
        mismatch: fc.oneof({ weight: 12, arbitrary: fc.constant(null) }, fc.constantFrom("environment", "feature")),
        copies: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 3 })),
      }),
      // Fewer would rarely meet at an edge of an interval.
      { minLength: 60, maxLength: 120 },
    ),
  })
  .map(({ metrics, hours, events }) => ({
    metrics,
    hours,
    /** Builds the events. Usually an identity sees one variant only. */
    eventsOf: (environment_key: string, feature_name: string, from: number): Event[] =>
      events.flatMap(({ isExposure, identity, variant, name, value, hour, jitter, mismatch, copies }) => {
        const event: Event = {
          environment_key: mismatch === "environment" ? `${environment_key}-other` : environment_key,
          feature_name: mismatch === "feature" ? `${feature_name}-other` : feature_name,
          event: isExposure ? "$flag_exposure" : name,
          identifier: identity === 0 ? "" : `identity-${identity}`,
          value: isExposure ? (variant ?? (identity % 2 === 0 ? "control" : "treatment")) : value,
          timestamp: from + hour * HOUR + jitter,
        };
        return new Array<Event>(copies).fill(event);
      }),
  }));
