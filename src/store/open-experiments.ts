import { type Database, textOf } from "./database.ts";

type Feature = { environmentKey: string; featureName: string };

/** The number of features in one statement, so that its parameter stays small whatever their names are. */
const MAX_FEATURES = 100;

/**
 * Finds an open experiment of each feature: one that is not completed at `now`. A running one comes first, then the next
 * to start, then a draft without a start. Returns their ids in the order of the features; null: there is none.
 */
export async function findOpenExperiments(
  database: Database,
  features: readonly Feature[],
  now: number,
): Promise<(string | null)[]> {
  const found: (string | null)[] = features.map(() => null);
  for (let from = 0; from < features.length; from += MAX_FEATURES) {
    const names = features.slice(from, from + MAX_FEATURES).map((each) => [each.environmentKey, each.featureName]);
    const rows = await database.read({
      sql: `SELECT feature.key AS position, (
        SELECT id FROM experiments
        WHERE environment_key = json_extract(feature.value, '$[0]') AND feature_name = json_extract(feature.value, '$[1]')
          AND coalesce(ended_at > ?2, 1)
        ORDER BY started_at IS NULL, started_at, id LIMIT 1
      ) AS id
      FROM json_each(?1) AS feature`,
      values: [JSON.stringify(names), now],
    });
    for (const row of rows) if (row["id"] !== null) found[from + Number(row["position"])] = textOf(row, "id");
  }
  return found;
}
