import { expect, it } from "vitest";
import { blankMetric, newExperiment } from "../../src/panel/experiment-fields.ts";
import { experimentForm } from "../../src/panel/experiment-form.ts";

it("the form of an experiment with all its metrics stays below 60 KiB", () => {
  const metric = { ...blankMetric, key: "purchase-of-anything", name: "Purchases", event: "purchase-of-anything" };
  const names = Array.from({ length: 50 }, (_, index) => `feature-with-a-long-name-${index}`);
  const form = experimentForm({
    errors: [],
    focus: null,
    notice: null,
    costs: [],
    preview: null,
    remark: null,
    openedAt: 0,
    stored: null,
    isDraft: true,
    scope: null,
    fields: { ...newExperiment, metrics: Array.from({ length: 20 }, () => metric) },
    suggested: {
      environments: names,
      features: names,
      events: names.map((event) => ({ event, count: 1_000_000, values: "numbers", lastEventAt: 0 })),
    },
  });
  expect(form.toString().length).toBeLessThan(60 * 1024);
});
