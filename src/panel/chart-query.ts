import * as z from "zod/mini";
import { themes } from "./palettes.ts";
import { seriesNames } from "./series.ts";

const pixels = (min: number, max: number, fallback: number) => {
  const rule = `must be a whole number from ${min} to ${max}`;
  const number = z
    .pipe(z.string().check(z.regex(/^\d{1,4}$/, rule)), z.transform(Number))
    .check(z.refine((value) => value >= min && value <= max, rule));
  return z._default(number, fallback);
};

const theme = z._default(z.enum(themes, { error: `must be one of ${themes.join(", ")}` }), "light");

/** The query parameters of the exposures' SVG. */
export const chartQuery = z.strictObject({
  theme,
  width: pixels(200, 4000, 760),
  height: pixels(150, 3000, 400),
  series: z._default(z.enum(seriesNames, { error: `must be one of ${seriesNames.join(", ")}` }), "cumulative"),
});

/** The query parameters of the results' SVG, which is as tall as its content. */
export const resultsChartQuery = z.strictObject({ theme, width: pixels(320, 4000, 760) });
