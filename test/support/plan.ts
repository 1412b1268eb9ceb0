import fc from "fast-check";
import type { Aggregation } from "../../src/experiment.ts";
import { faults } from "./proxy.ts";

// Generates the plan of a long run with faults, as data. The same seed gives the same plan.

export const EXPERIMENTS = 50;
const HOUR = 3_600_000;

/** An exposure. Times are milliseconds from the start of the run. */
export type PlannedEvent = {
  identity: number;
  variant: string;
  at: number;
  /** The value of a purchase by the identity at the same time; null: it purchases nothing. */
  purchase: string | null;
};
export type PlannedDefinition = {
  /** Each experiment has its own three features. The settled feature gets no events during the run. */
  feature: "first" | "second" | "settled";
  variants: readonly string[];
  /** The aggregations of the purchases, each a metric. */
  metrics: readonly Aggregation[];
  start: number | null;
  end: number | null;
};

export type Step =
  | { type: "put"; experiment: number; definition: PlannedDefinition }
  | { type: "delete"; experiment: number }
  | { type: "expose"; experiment: number; feature: "first" | "second"; events: PlannedEvent[]; copies: number }
  | { type: "refresh"; experiment: number }
  /** Sends one of the deliveries of the plan, which may repeat an earlier one. */
  | { type: "webhook"; delivery: number }
  | { type: "flagsmith"; experiment: number; about: "feature" | "environment" }
  | { type: "read"; experiment: number }
  | { type: "sweep" }
  /** Evicts the coordinator of the experiment, which loses its memory. */
  | { type: "evict"; experiment: number }
  /** Kills the runtime, which loses its memory and all work in flight. */
  | { type: "kill" }
  /** Makes the warehouse refuse connections for a while. */
  | { type: "refuse"; milliseconds: number };

const experiment = fc.nat(EXPERIMENTS - 1);
const variant = fc.constantFrom("control", "control", "control", "treatment", "$multiple");
const variants = fc.constantFrom(["control"], ["control", "treatment"], ["treatment", "control", "other"]);
const metrics = fc.constantFrom<Aggregation[]>([], [], ["occurrence", "sum"]);
const openFeature = fc.constantFrom("first" as const, "second" as const);
/** Events may be late, or in the future. */
const event = fc.record({
  identity: fc.nat(25),
  variant,
  at: fc.integer({ min: -6 * HOUR, max: HOUR }),
  purchase: fc.constantFrom(null, "1", "20", "not a number"),
});

const definition = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      feature: openFeature,
      variants,
      metrics,
      start: fc.constantFrom(-80 * HOUR, -5 * HOUR, -5 * HOUR + 1, -4 * HOUR),
      // null: no end. -HOUR / 2: ended, but late events still count throughout the run. 8_000: ends during the run.
      end: fc.constantFrom(null, null, null, -HOUR / 2, 8_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      feature: openFeature,
      variants,
      metrics,
      start: fc.constantFrom(null, 8_000),
      end: fc.constant(null),
    }),
  },
  // Becomes final with its first refresh.
  {
    weight: 4,
    arbitrary: fc.record({
      feature: fc.constant("settled" as const),
      variants,
      metrics,
      start: fc.constant(-5 * HOUR),
      end: fc.constantFrom(-2 * HOUR, -3 * HOUR),
    }),
  },
);

const action = <Name extends string>(name: Name) => fc.constant(name);
const DELIVERIES = 40;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 18, arbitrary: fc.record({ type: action("refresh"), experiment }) },
  {
    weight: 16,
    arbitrary: fc.record({
      type: action("expose"),
      experiment,
      feature: openFeature,
      events: fc.array(event, { minLength: 1, maxLength: 5 }),
      copies: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ type: action("webhook"), delivery: fc.nat(DELIVERIES - 1) }) },
  { weight: 12, arbitrary: fc.record({ type: action("put"), experiment, definition }) },
  { weight: 8, arbitrary: fc.record({ type: action("read"), experiment }) },
  { weight: 5, arbitrary: fc.record({ type: action("evict"), experiment }) },
  { weight: 5, arbitrary: fc.record({ type: action("delete"), experiment }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: action("flagsmith"),
      experiment,
      about: fc.constantFrom("feature" as const, "environment" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: action("sweep") }) },
  { weight: 1, arbitrary: fc.record({ type: action("kill") }) },
  { weight: 1, arbitrary: fc.record({ type: action("refuse"), milliseconds: fc.integer({ min: 50, max: 500 }) }) },
);

export type FaultName = keyof typeof faults | "slow" | null;
/** Five of each kind in three hundred responses. */
const faultNames: FaultName[] = Array.from({ length: 5 }, (): FaultName[] => [
  "slow",
  ...(Object.keys(faults) as (keyof typeof faults)[]),
]).flat();
const allResponses: FaultName[] = [...faultNames, ...new Array<null>(300 - faultNames.length).fill(null)];

const plan = fc.record({
  /** The definitions of the experiments at the start of the run. */
  definitions: fc.array(definition, { minLength: EXPERIMENTS, maxLength: EXPERIMENTS }),
  /** The events before the start of the run, by experiment and feature. */
  history: fc.array(
    fc.record({ settled: fc.array(event, { maxLength: 12 }), first: fc.array(event, { maxLength: 12 }) }),
    {
      minLength: EXPERIMENTS,
      maxLength: EXPERIMENTS,
    },
  ),
  steps: fc.array(step, { minLength: 550, maxLength: 550 }),
  deliveries: fc.array(
    fc.record({
      experiment,
      about: fc.constantFrom("experiment" as const, "feature" as const, "environment" as const),
    }),
    { minLength: DELIVERIES, maxLength: DELIVERIES },
  ),
  /** The faults of the warehouse's responses, in order. After the last one they repeat. */
  responseFaults: fc.shuffledSubarray(allResponses, { minLength: allResponses.length }),
});
export type Plan = typeof plan extends fc.Arbitrary<infer Value> ? Value : never;

export function planFor(seed: number): Plan {
  const [sampled] = fc.sample(plan, { seed, numRuns: 1 });
  if (sampled === undefined) throw new Error("fast-check generated no plan");
  return sampled;
}
