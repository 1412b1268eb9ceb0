import fc from "fast-check";
import { faults } from "./proxy.ts";

// A long run with everything going wrong, as data: the same seed gives the same plan.

export const EXPERIMENTS = 50;
const HOUR = 3_600_000;

/** Times are milliseconds from the beginning of the run. */
export type PlannedEvent = { identity: number; variant: string; at: number };
export type PlannedDefinition = {
  /** Each experiment has three features of its own. Of the settled one, all events are there when the run begins. */
  feature: "first" | "second" | "settled";
  variants: readonly string[];
  start: number | null;
  end: number | null;
};

export type Step =
  | { do: "put"; experiment: number; definition: PlannedDefinition }
  | { do: "delete"; experiment: number }
  | { do: "expose"; experiment: number; feature: "first" | "second"; events: PlannedEvent[]; copies: number }
  | { do: "call"; experiment: number }
  /** One of the plan's deliveries, again if it was sent before. */
  | { do: "hint"; delivery: number }
  | { do: "flagsmith"; experiment: number; about: "feature" | "environment" }
  | { do: "read"; experiment: number }
  | { do: "sweep" }
  /** The experiment's coordinator loses its memory. */
  | { do: "evict"; experiment: number }
  /** Everything loses its memory, and what it was doing. */
  | { do: "kill" }
  /** For a moment the warehouse takes no connections. */
  | { do: "refuse"; milliseconds: number };

const experiment = fc.nat(EXPERIMENTS - 1);
const variant = fc.constantFrom("control", "control", "control", "treatment", "$multiple");
const variants = fc.constantFrom(["control"], ["control", "treatment"], ["treatment", "control", "other"]);
const open = fc.constantFrom("first" as const, "second" as const);
/** Late ones, and some that are ahead of time. */
const event = fc.record({ identity: fc.nat(25), variant, at: fc.integer({ min: -6 * HOUR, max: HOUR }) });

const definition = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      feature: open,
      variants,
      start: fc.constantFrom(-80 * HOUR, -5 * HOUR, -5 * HOUR + 1, -4 * HOUR),
      // The second is over, but takes late events for longer than the run lasts; the third ends within the run.
      end: fc.constantFrom(null, null, null, -HOUR / 2, 8_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ feature: open, variants, start: fc.constantFrom(null, 8_000), end: fc.constant(null) }),
  },
  // Final with its first refresh.
  {
    weight: 2,
    arbitrary: fc.record({
      feature: fc.constant("settled" as const),
      variants,
      start: fc.constant(-5 * HOUR),
      end: fc.constantFrom(-2 * HOUR, -3 * HOUR),
    }),
  },
);

const act = <Name extends string>(name: Name) => fc.constant(name);
const DELIVERIES = 40;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 18, arbitrary: fc.record({ do: act("call"), experiment }) },
  {
    weight: 16,
    arbitrary: fc.record({
      do: act("expose"),
      experiment,
      feature: open,
      events: fc.array(event, { minLength: 1, maxLength: 5 }),
      copies: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ do: act("hint"), delivery: fc.nat(DELIVERIES - 1) }) },
  { weight: 12, arbitrary: fc.record({ do: act("put"), experiment, definition }) },
  { weight: 8, arbitrary: fc.record({ do: act("read"), experiment }) },
  { weight: 5, arbitrary: fc.record({ do: act("evict"), experiment }) },
  { weight: 5, arbitrary: fc.record({ do: act("delete"), experiment }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: act("flagsmith"),
      experiment,
      about: fc.constantFrom("feature" as const, "environment" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: act("sweep") }) },
  { weight: 1, arbitrary: fc.record({ do: act("kill") }) },
  { weight: 1, arbitrary: fc.record({ do: act("refuse"), milliseconds: fc.integer({ min: 50, max: 500 }) }) },
);

export type FaultName = keyof typeof faults | "slow" | null;
/** Five of each kind among three hundred queries. */
const someFaults: FaultName[] = Array.from({ length: 5 }, (): FaultName[] => [
  "slow",
  ...(Object.keys(faults) as (keyof typeof faults)[]),
]).flat();
const allAnswers: FaultName[] = [...someFaults, ...new Array<null>(300 - someFaults.length).fill(null)];

const plan = fc.record({
  /** What the experiments are when the run begins. */
  definitions: fc.array(definition, { minLength: EXPERIMENTS, maxLength: EXPERIMENTS }),
  /** What has happened by then: for each experiment and feature some events. */
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
  /** What happens to the answers of the warehouse, one after the other, and again from the beginning. */
  answers: fc.shuffledSubarray(allAnswers, { minLength: allAnswers.length }),
});
export type Plan = typeof plan extends fc.Arbitrary<infer Value> ? Value : never;

export function planFor(seed: number): Plan {
  const [sampled] = fc.sample(plan, { seed, numRuns: 1 });
  if (sampled === undefined) throw new Error("no plan");
  return sampled;
}
