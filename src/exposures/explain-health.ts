import type { Variant } from "../experiment.ts";
import { type Breakdown, type Breakdowns, FIRST_EXPOSURE } from "./breakdown.ts";
import { type CauseReport, type CauseValue, describeSdkVersions, findCauses } from "./causes.ts";
import type { Check, CheckName, Figure, Health } from "./health.ts";
import { property } from "./json.ts";

/** The checks that a breakdown can explain. */
const EXPLAINED: readonly CheckName[] = ["sample_ratio", "multiple_variants", "unknown_variants", "late_events"];

/** The values of a stored breakdown. */
const MAX_VALUES = 21;

const isExplained = ({ name, status }: Check) =>
  EXPLAINED.includes(name) && (status === "warning" || status === "unhealthy");

/** Returns whether a check fails that a breakdown can explain. */
export function needsBreakdown({ checks }: Health): boolean {
  return checks.some(isExplained);
}

/** Adds what the breakdowns say about the failing checks. Statuses stay. */
export function explainHealth(health: Health, breakdowns: Breakdowns, variants: readonly Variant[]): Health {
  const checks = health.checks.map((check): Check => {
    if (!isExplained(check)) return check;
    const { name, detail, figures } = check;
    if (name === "sample_ratio" || name === "multiple_variants") {
      const report = findCauses(name, breakdowns, variants);
      return { ...check, figures: { ...figures, ...causeFigures(report, breakdowns) } };
    }
    if (name !== "late_events" && name !== "unknown_variants") return check;
    const versions = describeSdkVersions(name, breakdowns, variants);
    return versions === null ? check : { ...check, detail: `${detail} It happens ${versions}.` };
  });
  return { ...health, checks };
}

/** The sentence about a check's worst cause, or that there is none; null: it was not looked for. */
export function causeSentence({ figures: { causes, causes_detail: summary } }: Check): string | null {
  const worst = Array.isArray(causes) ? property(causes[0], "detail") : undefined;
  return typeof worst === "string" ? worst : typeof summary === "string" ? summary : null;
}

function causeFigures({ causes, beganAt, detail }: CauseReport, { dimensions }: Breakdowns): Record<string, Figure> {
  const worst = dimensions.find(({ dimension }) => dimension === causes[0]?.dimension);
  return {
    causes: causes.map((cause) => ({
      ...valueFigures(cause),
      identities: cause.identities,
      excluded_identities: cause.excludedIdentities,
      p_value: cause.pValue,
      explained: cause.explained,
      is_fair_without: cause.isFairWithout,
      same_as: cause.sameAs.map(valueFigures),
      detail: cause.detail,
    })),
    causes_detail: detail,
    began_at: beganAt === null ? null : new Date(beganAt).toISOString(),
    breakdown: worst === undefined ? null : breakdownFigures(worst, causes[0]?.value),
  };
}

/** The values of a dimension. Of many buckets of time, those around the first cause. */
function breakdownFigures({ dimension, values }: Breakdown, cause: string | null | undefined): Figure {
  const middle = values.findIndex(({ value }) => value === cause) - Math.floor(MAX_VALUES / 2);
  const first = Math.max(0, Math.min(middle, values.length - MAX_VALUES));
  return {
    dimension,
    values: values.slice(first, first + MAX_VALUES).map(({ value, identities, excluded }) => ({
      value: valueFigures({ dimension, value }).value,
      identities,
      excluded_identities: excluded,
    })),
  };
}

/** A bucket of time is its start. */
function valueFigures({ dimension, value }: CauseValue): CauseValue {
  const isTime = dimension === FIRST_EXPOSURE && value !== null;
  return { dimension, value: isTime ? new Date(Number(value)).toISOString() : value };
}
