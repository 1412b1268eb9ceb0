import type { StoredHealth } from "./health.ts";
import type { Summary } from "./summary.ts";

/**
 * Serialises the `exposures` object of the response as JSON text. It does so by hand, because an object literal would
 * reorder keys like `2` and lose `__proto__`. Equal input gives equal bytes.
 */
export function serialise(summary: Summary, health: StoredHealth): string {
  const { buckets } = summary;
  const columns = [...summary.variants].map(([key, series]) => ({ name: JSON.stringify(key), series, cumulative: 0 }));
  const points: string[] = [];
  for (let index = 0; index < buckets.count; index++) {
    const added: string[] = [];
    const cumulative: string[] = [];
    for (const column of columns) {
      const count = column.series.added[index] ?? 0;
      column.cumulative += count;
      added.push(`${column.name}:${count}`);
      cumulative.push(`${column.name}:${column.cumulative}`);
    }
    const bucket = new Date(buckets.first + index * buckets.size).toISOString();
    points.push(
      `{"bucket":"${bucket}","new_identities":{${added.join()}},"cumulative_identities":{${cumulative.join()}}}`,
    );
  }
  const checks = health.checks.map(({ name, status, detail, figures }) =>
    serialiseValue({ name, status, detail, ...figures }),
  );
  const totals = columns.map(({ name, series }) => `${name}:${series.total}`);
  return (
    `{"total_identities":${summary.totalIdentities},"excluded_identities":${summary.excludedIdentities},` +
    `"variants":{${totals.join()}},` +
    `"health":{"status":"${health.status}","checks":[${checks.join()}]},` +
    `"timeseries":{"granularity":"${buckets.granularity}","points":[${points.join()}]}}`
  );
}

/** Serialises a check or a figure. A Map becomes an object with its keys in their order. */
function serialiseValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(serialiseValue).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = value instanceof Map ? [...value] : Object.entries(value);
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${serialiseValue(field)}`).join()}}`;
}
