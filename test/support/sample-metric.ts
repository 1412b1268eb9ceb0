import type { Metric } from "../../src/experiment.ts";

/** A goal: the sum of an event's values. */
export const purchases: Metric = {
  key: "purchase",
  name: "Purchases",
  event: "purchase",
  aggregation: "sum",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
};
