import fc from "fast-check";
import { momentsOf } from "./moments.ts";

/** Two arms of values with covariates, and their moments. */
const anyArm = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: -20, max: 20 })), {
  minLength: 3,
  maxLength: 30,
});
export const anyArms = fc.record({ a: anyArm, b: anyArm }).map(({ a, b }) => {
  const arm = (pairs: [number, number][]) =>
    momentsOf(
      pairs.length,
      pairs.map(([value]) => value),
      pairs.map(([, covariate]) => covariate),
    );
  return { a, b, control: arm(a), treatment: arm(b) };
});
