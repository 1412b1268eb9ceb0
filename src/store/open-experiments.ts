import { type Database, textOf } from "./database.ts";

export type Feature = { environmentKey: string; featureName: string };

/** Names a feature for a Map: its environment and name may contain any character. */
export const featureId = ({ environmentKey, featureName }: Feature) => JSON.stringify([environmentKey, featureName]);

/** Finds the experiments of these features that have not ended, by `featureId`. Of several, the earliest id counts. */
export async function findOpenExperiments(
  database: Database,
  features: readonly Feature[],
  now: number,
): Promise<Map<string, string>> {
  const rows = await database.read({
    sql: `SELECT environment_key, feature_name, min(id) AS id FROM experiments
    WHERE (environment_key, feature_name) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
      AND (ended_at IS NULL OR ended_at > ?2)
    GROUP BY environment_key, feature_name`,
    values: [JSON.stringify(features.map(({ environmentKey, featureName }) => [environmentKey, featureName])), now],
  });
  return new Map(
    rows.map((row) => {
      const feature = { environmentKey: textOf(row, "environment_key"), featureName: textOf(row, "feature_name") };
      return [featureId(feature), textOf(row, "id")];
    }),
  );
}
