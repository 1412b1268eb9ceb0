import { expect, it } from "vitest";
import { formatIdentities, formatPValue } from "../src/format.ts";

it("counts identities in the singular and the plural", () => {
  expect([0, 1, 2, 1234].map(formatIdentities)).toEqual([
    "0 identities",
    "1 identity",
    "2 identities",
    "1,234 identities",
  ]);
});

it("shows a p-value with two digits, and a small one as a power of ten", () => {
  expect([1, 0.04321, 0.00119, 0.001, 0.00099, 4.56e-12].map(formatPValue)).toEqual([
    "1",
    "0.043",
    "0.0012",
    "0.001",
    "9.9e-4",
    "4.6e-12",
  ]);
});
