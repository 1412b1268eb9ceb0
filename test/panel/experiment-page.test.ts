import { describe, expect, it } from "vitest";
import type { Experiment, Metric } from "../../src/experiment.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { computeExposures } from "../../src/exposures/compute-exposures.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { experimentPage } from "../../src/panel/experiment-page.ts";
import { countsText } from "../../src/results/stored-counts.ts";
import { fromConversions } from "../support/moments.ts";
import { plainView } from "../support/plain-view.ts";

const START = Date.UTC(2026, 5, 1);
const AS_OF = START + 10 * HOUR;

const metric: Metric = {
  key: "m",
  name: "Purchases",
  event: "purchase",
  aggregation: "occurrence",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
};

type Arms = Record<string, { identities: number; conversions: number }>;
const EQUAL: Arms = {
  control: { identities: 500, conversions: 50 },
  treatment: { identities: 500, conversions: 50 },
};

/** The page of an experiment with results of these arms, whose weights changed at this time. */
function pageOf(weightsChangedAt: number | null, arms = EQUAL, weights: readonly [number, number] = [50, 50]): string {
  const variants = Object.keys(arms).map((key, index) => ({ key, weight: weights[index] ?? 50 }));
  const experiment: Experiment = {
    source: "api",
    id: "ramp",
    name: "Ramp",
    environmentKey: "env",
    featureName: "button",
    variants,
    metrics: [metric],
    startedAt: START,
    endedAt: null,
    createdAt: START,
    updatedAt: START,
    weightsChangedAt,
  };
  const counts = Object.entries(arms).map(([variant, { identities }]) => ({
    multiple: false as const,
    variant,
    bucket: START,
    identities,
  }));
  const collection = { latestExposureAt: START, lateIdentities: 0, invalidEvents: 0, events: 0 };
  const computed = computeExposures({ counts, collection }, { from: START, to: AS_OF }, experiment, AS_OF, 0);
  if (!computed.ok) throw new Error(computed.failure);
  const moments = Object.entries(arms).map(
    ([key, { identities, conversions }]) => [key, fromConversions(identities, conversions)] as const,
  );
  const counted = countsText([{ metric, invalidValues: 0, variants: new Map(moments) }]);
  const times = { asOf: AS_OF, computedAt: AS_OF, lastErrorAt: null };
  const page = experimentPage({
    experiment,
    summary: {
      experiment,
      version: 1,
      ...times,
      refreshRequestedAt: null,
      isFinal: false,
      isIdle: false,
      exposures: serialise(computed.value.summary, computed.value.health),
      results: { ...times, counted },
    },
    series: "cumulative",
    now: AS_OF,
    sweepMs: HOUR,
    ...plainView,
  });
  return page.toString();
}

describe("the page of an experiment", () => {
  it("says when the weights changed, and what this means for each section", () => {
    const page = pageOf(START + 2.5 * HOUR);
    const time = '<time datetime="2026-06-01T02:30:00.000Z">2026-06-01 02:30 UTC</time>';
    expect(page).toContain(` · weights changed ${time}</p>`);
    expect(page).toContain(`The weights changed at ${time}, so results mix periods with different splits. If`);
    expect(page).toContain(`Expected follows the weights since ${time}.`);
    expect(page).toContain("The weights changed at 2026-06-01 02:30 UTC, so results mix periods");
    expect(page.split("<title>weights changed 2026-06-01 02:30 UTC</title>")).toHaveLength(3);
  });

  it("mixes no periods in numbers of before the change", () => {
    const page = pageOf(AS_OF);
    expect(page).toContain("weights changed <time");
    expect(page).not.toMatch(/mix periods|<title>weights/);
  });

  it("has no such words while the weights never changed", () => {
    expect(pageOf(null)).not.toMatch(/weights changed|mix periods/i);
  });

  it("describes a variant with one identity, and which lifts of the other variant can be detected now", () => {
    const page = pageOf(null, {
      control: { identities: 100_000, conversions: 10_000 },
      b: { identities: 100_000, conversions: 12_000 },
      c: { identities: 1, conversions: 0 },
    });
    expect(page).toContain('<span class="sub">1 identity</span>');
    expect(page).toContain('<span class="sub">100,000 identities</span>');
    expect(page).toMatch(
      /a lift of ±5\.6% or more can be detected now\. At today&#39;s pace, 10% now, 5% within a day/,
    );
    expect(page).not.toContain("no lift can be detected yet");
  });

  it("promises few false verdicts for each metric, not for all of them", () => {
    expect(pageOf(null)).toContain(
      "for each metric, at most 5% of experiments without a true difference ever show one.",
    );
  });

  it.each<[weights: [number, number], expected: string[]]>([
    [
      [50, 50],
      ["50.0%", "50.0%"],
    ],
    [
      [1e308, 1e308],
      ["50.0%", "50.0%"],
    ],
    [
      [5e-324, 15e-324],
      ["25.0%", "75.0%"],
    ],
    [
      [0, 1e308],
      ["0.0%", "100.0%"],
    ],
    [
      [0, 0],
      ["N/A", "N/A"],
    ],
  ])("expects shares of the weights %j, however large or small", (weights, expected) => {
    const rows = [...pageOf(null, EQUAL, weights).matchAll(/<tr><th scope="row"><svg class="swatch".*?<\/tr>/gs)];
    const cells = rows.map(([row]) => [...row.matchAll(/class="number">([^<]*)</g)].map(([, text]) => text));
    expect(cells.map(([, , share]) => share)).toEqual(expected);
  });
});
