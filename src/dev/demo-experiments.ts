import { DAY } from "../exposures/buckets.ts";

type DemoExperiment = {
  id: string;
  name: string;
  feature: string;
  /** The age of the experiment at its creation, in milliseconds. */
  age: number;
  variants: { key: string; weight: number }[];
  /** The variants that identities get, with shares out of 1000. */
  served: { key: string; share: number }[];
  /** The number of returning identities out of 1000 that get another variant than before. */
  switching: number;
  /** The number of identities out of 1000 that the newest SDK version loses, of those that get the second variant. */
  lost: number;
  metrics: DemoMetric[];
};

type DemoMetric = {
  /** The metric, as in the API. */
  definition: { key: string; name: string; event: string; aggregation: string; expected_direction: string };
  /** By served variant: how many exposures out of 1000 an event follows, and the mean of its value; 0: it has no value. */
  follows: { rate: number; mean: number }[];
};

const follows = (...pairs: [rate: number, mean: number][]) => pairs.map(([rate, mean]) => ({ rate, mean }));
const metric = (key: string, name: string, aggregation: string, expected_direction: string) => ({
  key,
  name,
  event: key,
  aggregation,
  expected_direction,
});

export const DEMO_EXPERIMENTS: readonly DemoExperiment[] = [
  {
    id: "checkout-cta",
    name: "Checkout: wording of the button",
    feature: "checkout_button",
    age: 2 * DAY,
    variants: [
      { key: "control", weight: 50 },
      { key: "treatment", weight: 50 },
    ],
    served: [
      { key: "control", share: 500 },
      { key: "treatment", share: 500 },
    ],
    switching: 2,
    lost: 0,
    metrics: [
      { definition: metric("purchase", "Purchases", "occurrence", "increase"), follows: follows([160, 0], [240, 0]) },
      { definition: metric("tip", "Tips", "sum", "increase"), follows: follows([300, 4], [300, 4]) },
      {
        definition: metric("support_ticket", "Support tickets", "occurrence", "not_increase"),
        follows: follows([120, 0], [118, 0]),
      },
    ],
  },
  {
    id: "onboarding-flow",
    name: "Onboarding: three, four or five steps",
    feature: "onboarding_steps",
    age: 21 * DAY,
    variants: [
      { key: "three", weight: 34 },
      { key: "four", weight: 33 },
      { key: "five", weight: 33 },
    ],
    served: [
      { key: "three", share: 340 },
      { key: "four", share: 330 },
      { key: "five", share: 330 },
    ],
    switching: 0,
    lost: 0,
    metrics: [
      {
        definition: metric("setup_minutes", "Minutes to set up", "mean", "decrease"),
        follows: follows([900, 14], [900, 12], [900, 14]),
      },
      {
        definition: metric("skipped_profile", "Profiles left empty", "occurrence", "not_increase"),
        follows: follows([150, 0], [150, 0], [190, 0]),
      },
    ],
  },
  {
    id: "pricing-page",
    name: "Pricing: yearly first (broken on purpose)",
    feature: "pricing_yearly_first",
    age: 9 * DAY,
    variants: [
      { key: "control", weight: 50 },
      { key: "yearly", weight: 50 },
    ],
    served: [
      { key: "control", share: 495 },
      { key: "yearly", share: 495 },
      { key: "legacy", share: 10 },
    ],
    switching: 60,
    lost: 700,
    metrics: [
      {
        definition: metric("subscription", "Subscriptions", "occurrence", "increase"),
        follows: follows([100, 0], [140, 0], [100, 0]),
      },
    ],
  },
];
