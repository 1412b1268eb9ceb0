import { reweightExposures } from "../exposures/reweight.ts";
import { type Database, numberOf, numberOrNull, runOnPrimary, textOf } from "./database.ts";
import { variantsOf } from "./experiment-row.ts";

/**
 * Applies an experiment's current variants to its final summary, which no refresh does. Repeating it changes nothing.
 * If the experiment changes meanwhile, nothing is written.
 */
export async function reweightFinalSummary(database: Database, experimentId: string): Promise<void> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT variants, weights_changed_at, started_at, as_of, computed_at, exposures
    FROM experiments JOIN summaries ON experiment_id = id WHERE id = ? AND is_final = 1`,
    values: [experimentId],
  });
  if (row === undefined) return;
  const [variants, computedAt] = [textOf(row, "variants"), numberOf(row, "computed_at")];
  const window = { from: numberOf(row, "started_at"), to: numberOf(row, "as_of") };
  const stored = textOf(row, "exposures");
  const weightsChangedAt = numberOrNull(row, "weights_changed_at");
  const reweighted = reweightExposures(stored, window, { variants: variantsOf(variants), weightsChangedAt });
  if (reweighted === null || reweighted === stored) return;
  const unchanged = "id = ?1 AND is_final = 1 AND variants = ?2 AND computed_at = ?3";
  const values = [experimentId, variants, computedAt];
  await database.transact(
    [
      {
        sql: `UPDATE summaries SET exposures = ?4
        WHERE experiment_id = ?1 AND EXISTS (SELECT 1 FROM experiments WHERE ${unchanged})`,
        values: [...values, reweighted],
      },
      { sql: `UPDATE experiments SET version = version + 1 WHERE ${unchanged}`, values },
    ],
    [experimentId],
  );
}
