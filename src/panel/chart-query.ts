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

const theme = z.enum(themes, { error: `must be one of ${themes.join(", ")}` }).default("light");

/** The query parameters of the exposures' SVG. */
export const chartQuery = z.strictObject({
  theme,
  width: pixels(200, 4000, 760),
  height: pixels(150, 3000, 400),
  series: z.enum(seriesNames, { error: `must be one of ${seriesNames.join(", ")}` }).default("cumulative"),
});

/** The query parameters of the results' SVG, which is as tall as its content. */
export const resultsChartQuery = z.strictObject({ theme, width: pixels(320, 4000, 760) });
