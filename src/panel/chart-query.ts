import * as z from "zod";
import { themes } from "./palettes.ts";
import { seriesNames } from "./series.ts";

const pixels = (min: number, max: number, fallback: number) => {
  const rule = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,4}$/, rule)
    .transform(Number)
    .refine((value) => value >= min && value <= max, rule)
    .default(fallback);
};

/** The query parameters of the SVG chart. */
export const chartQuery = z.strictObject({
  theme: z.enum(themes, { error: `must be one of ${themes.join(", ")}` }).default("light"),
  width: pixels(200, 4000, 760),
  height: pixels(150, 3000, 400),
  series: z.enum(seriesNames, { error: `must be one of ${seriesNames.join(", ")}` }).default("cumulative"),
});
