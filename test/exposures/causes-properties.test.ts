import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Breakdown, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { type CauseReport, findCauses } from "../../src/exposures/causes.ts";
import { breakdowns, START, value, variants } from "../support/breakdowns.ts";

/** `SEED=… npm test -- test/exposures/causes-properties` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

describe("findCauses › both checks", () => {
  /** Three dimensions of the same identities, by a table of all combinations. */
  const anyRow = fc.record({
    places: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 4 }), fc.nat({ max: 5 })),
    control: fc.nat({ max: 3000 }),
    treatment: fc.nat({ max: 3000 }),
    excluded: fc.nat({ max: 200 }),
  });
  const anyBreakdowns = fc.array(anyRow, { minLength: 2, maxLength: 20 }).map((rows) => {
    const sum = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
    const dimensions = [
      { dimension: "sdk_version", count: 4 },
      { dimension: "traits.country", count: 5 },
      { dimension: "first_exposure", count: 6 },
    ].map(({ dimension, count }, index): Breakdown => {
      const values = Array.from({ length: count }, (_, place) => {
        const here = rows.filter(({ places }) => places[index] === place);
        const [controls, treatments] = [here.map(({ control }) => control), here.map(({ treatment }) => treatment)];
        const excluded = sum(here.map(({ excluded }) => excluded));
        return value(String(START + place * HOUR), sum(controls), sum(treatments), { excluded });
      });
      return { dimension, values };
    });
    return breakdowns(...dimensions);
  });
  const anyCheck = fc.constantFrom("sample_ratio" as const, "multiple_variants" as const);

  it("name at most five causes, each of which explains a part and is certain", () => {
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, any) => {
        const { causes } = findCauses(check, any, variants);
        expect(causes.length).toBeLessThanOrEqual(5);
        for (const cause of causes) {
          expect(cause.explained).toBeGreaterThanOrEqual(0.1);
          expect(cause.explained).toBeLessThanOrEqual(1);
          expect(cause.pValue).toBeGreaterThan(0);
          expect(cause.pValue).toBeLessThan(0.001);
          expect(cause.dimension).toBe(causes[0]?.dimension);
        }
        const pValues = causes.map(({ pValue }) => pValue);
        expect(pValues).toEqual(pValues.toSorted((a, b) => a - b));
      }),
      { seed },
    );
  });

  it("do not depend on the order of dimensions, values and variants", () => {
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, any) => {
        const dimensions = any.dimensions
          .map(({ dimension, values }) => ({
            dimension,
            values: dimension === "first_exposure" ? values : values.toReversed(),
          }))
          .toReversed();
        const one = findCauses(check, any, variants);
        // Which of several dimensions with the same identities is named does depend on the order.
        fc.pre(one.causes.every(({ sameAs }) => sameAs.length === 0));
        const other = findCauses(check, { ...any, dimensions }, variants.toReversed());
        const figuresOf = ({ causes }: CauseReport) =>
          causes.map(({ dimension, value, explained }) => [dimension, value, explained.toFixed(9)]);
        expect(figuresOf(other)).toEqual(figuresOf(one));
        expect(other.beganAt).toBe(one.beganAt);
      }),
      { seed },
    );
  });

  it("name at least the same values of a dimension for ten times the identities", () => {
    const tenfold = (one: BreakdownValue): BreakdownValue => ({
      ...one,
      identities: new Map([...one.identities].map(([key, count]) => [key, 10 * count])),
      counted: 10 * one.counted,
      excluded: 10 * one.excluded,
    });
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, { dimensions: [breakdown] }) => {
        if (breakdown === undefined) return;
        const { causes } = findCauses(check, breakdowns(breakdown), variants);
        const more = findCauses(
          check,
          breakdowns({ ...breakdown, values: breakdown.values.map(tenfold) }),
          variants,
        ).causes;
        expect(more.slice(0, causes.length).map(({ value }) => value)).toEqual(causes.map(({ value }) => value));
      }),
      { seed },
    );
  });
});
