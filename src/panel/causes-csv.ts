import { cell } from "./csv.ts";
import { causesOf } from "./parse-causes.ts";
import type { Exposures } from "./parse-exposures.ts";

export const CAUSES_HEADER = ["check", "dimension", "value", "variant", "identities", "detail"];

/**
 * Writes the causes of failing checks as RFC 4180 CSV: for each cause, one row per variant, and one for identities with
 * several. Without causes, only the header.
 */
export function writeCausesCsv(exposures: Exposures | null): string {
  const rows = [CAUSES_HEADER.join()];
  for (const check of exposures?.health.checks ?? [])
    for (const { dimension, value, identities, excluded, detail } of causesOf(check)) {
      const place = [check.name, dimension, value ?? ""].map(cell).join();
      for (const [variant, count] of [...identities, ["$multiple", excluded] as const])
        rows.push([place, cell(variant), count, cell(detail)].join());
    }
  return `${rows.join("\r\n")}\r\n`;
}
