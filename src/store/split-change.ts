/** The weights of a JSON list of variants, each relative to the largest one. A key stays JSON, which keeps any text. */
const relativeWeights = (variants: string, sign: "" | "-") =>
  `SELECT value -> 'key' AS key, ${sign}1.0 * (value ->> 'weight') / max(value ->> 'weight') OVER () AS part
      FROM json_each(${variants})`;

/**
 * A condition: two JSON lists of variants split identities differently. Their order, their scale and variants of weight 0
 * do not matter. The tolerance ignores rounding.
 */
export const splitsDiffer = (before: string, after: string) => `EXISTS (
      SELECT 1 FROM (${relativeWeights(before, "")} UNION ALL ${relativeWeights(after, "-")})
      GROUP BY key HAVING abs(sum(part)) > 1e-9
    )`;

/** A condition: a JSON list of variants has a weight above 0. */
export const hasWeights = (variants: string) =>
  `EXISTS (SELECT 1 FROM json_each(${variants}) WHERE value ->> 'weight' > 0)`;
