import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketsOf, HOUR } from "../../src/exposures/buckets.ts";
import { checkNames } from "../../src/exposures/health.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { summarise } from "../../src/exposures/summary.ts";
import { bySeverity } from "../../src/panel/health-section.ts";
import { parseExposures } from "../../src/panel/parse-exposures.ts";
import { evenlySpaced } from "../../src/panel/sampling.ts";

const seed = Number(process.env["SEED"] ?? 7);
const window = { from: Date.UTC(2026, 5, 1), to: Date.UTC(2026, 5, 1) + 5 * HOUR };
const healthy = { status: "healthy", checks: [] } as const;
const hostile = [
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "1",
  "10",
  "2",
  "$multiple",
  "control",
  "",
  "a'b",
  "\0",
  "\ud800",
];

function stored(
  counted: readonly (readonly [variant: string, bucket: number, identities: number])[],
  configured: string[],
) {
  const { first, size } = bucketsOf(window);
  const counts = counted.map(
    ([variant, bucket, identities]) =>
      ({ multiple: false, variant, bucket: first + bucket * size, identities }) as const,
  );
  const summary = summarise([...counts, { multiple: true, identities: 4 }], window, configured);
  return { summary, text: serialise(summary, { ...healthy, checks: [] }) };
}

describe("parseExposures", () => {
  it("keeps every number of every variant, for any key", () => {
    const counted = fc.array(fc.tuple(fc.constantFrom(...hostile), fc.nat({ max: 4 }), fc.nat({ max: 1000 })));
    const configured = fc.uniqueArray(fc.constantFrom(...hostile), { maxLength: 4 });
    fc.assert(
      fc.property(counted, configured, (counted, configured) => {
        const { summary, text } = stored(counted, configured);
        const exposures = parseExposures(text, configured);
        expect(exposures).toMatchObject({ total: summary.totalIdentities, excluded: 4, granularity: "hour" });
        expect(exposures.buckets).toEqual([0, 1, 2, 3, 4].map((hour) => window.from + hour * HOUR));
        expect(new Map(exposures.variants.map(({ key, total, added }) => [key, { total, added }]))).toEqual(
          summary.variants,
        );
        for (const { added, cumulative, total } of exposures.variants) {
          let sum = 0;
          expect(cumulative).toEqual(added.map((count) => (sum += count)));
          expect(cumulative.at(-1)).toBe(total);
        }
      }),
      { seed },
    );
  });

  it("puts control first, then the configured variants in their order, then the others", () => {
    const { text } = stored([["zz", 0, 1]], ["b", "2", "control", "1"]);
    const keys = parseExposures(text, ["b", "2", "control", "1"]).variants.map(({ key }) => key);
    expect(keys).toEqual(["control", "b", "2", "1", "zz"]);
  });

  it("omits variants that were configured after the numbers were computed", () => {
    const { text } = stored([], ["a"]);
    expect(parseExposures(text, ["a", "new", "__proto__"]).variants.map(({ key }) => key)).toEqual(["a"]);
  });

  it("reads numbers that were stored before health checks existed", () => {
    const { health: _, ...rest } = JSON.parse(stored([["a", 1, 2]], []).text);
    expect(parseExposures(JSON.stringify(rest), [])).toMatchObject({
      total: 2,
      health: { status: "waiting", checks: [] },
    });
  });
});

it("bySeverity sorts checks from worst to best and keeps the order of equal ones", () => {
  const [a, b, c, d] = checkNames;
  const check = (name: (typeof checkNames)[number], status: "healthy" | "warning" | "unhealthy" | "waiting") => ({
    name,
    status,
    detail: "",
  });
  const sorted = bySeverity([check(a, "unhealthy"), check(b, "waiting"), check(c, "unhealthy"), check(d, "healthy")]);
  expect(sorted.map(({ name }) => name)).toEqual([a, c, b, d]);
});

it("evenlySpaced returns at most the max number of indices, evenly spaced and with the last", () => {
  fc.assert(
    fc.property(fc.nat({ max: 5000 }), fc.double({ min: 1, max: 3000, noNaN: true }), (length, max) => {
      const indices = evenlySpaced(length, max);
      expect(indices.length).toBeLessThanOrEqual(Math.ceil(max));
      expect(indices.length).toBeGreaterThanOrEqual(Math.min(length, max) / 2 - 1);
      if (length > 0) expect(indices.at(-1)).toBe(length - 1);
      const steps = new Set(indices.slice(1).map((value, index) => value - (indices[index] ?? 0)));
      expect(steps.size).toBeLessThanOrEqual(1);
      expect(indices.every((index) => index >= 0)).toBe(true);
    }),
    { seed },
  );
});
