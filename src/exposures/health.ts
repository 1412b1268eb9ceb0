import type { Variant } from "../experiment.ts";
import type { Window } from "./buckets.ts";
import * as checks from "./checks.ts";
import type { Collection, Summary } from "./summary.ts";

export const checkStatuses = ["waiting", "healthy", "warning", "unhealthy"] as const;
export type CheckStatus = (typeof checkStatuses)[number];

/** What each check is decided by, under the names and in the order of the answer. */
export const figureNames = {
  sample_ratio: ["p_value", "sequential_p_value", "expected", "observed"],
  multiple_variants: ["share", "excluded_identities"],
  unknown_variants: ["variants"],
  exposures_arriving: ["latest_exposure_at"],
  late_events: ["share", "late_identities"],
  window: ["days", "events_ttl_days"],
  invalid_events: ["share", "invalid_events"],
} as const;
export type CheckName = keyof typeof figureNames;

/** A time is ISO 8601 text, numbers by variant are a Map, and what does not exist is null. */
export type Figure = number | string | null | ReadonlyMap<string, number>;

export type Finding<Name extends CheckName = CheckName> = {
  status: CheckStatus;
  /** One sentence: what, how sure, what to do. */
  detail: string;
  figures: Readonly<Record<(typeof figureNames)[Name][number], Figure>>;
};

export type Check = {
  name: CheckName;
  status: CheckStatus;
  detail: string;
  figures: Readonly<Record<string, Figure>>;
};

/** Whether the numbers of an experiment can be trusted. */
export type Health = { status: CheckStatus; checks: readonly Check[] };

/** What the checks know. */
export type Evidence = {
  window: Window;
  /** Whether the experiment goes on after the window. */
  isRunning: boolean;
  variants: readonly Variant[];
  summary: Summary;
  collection: Collection;
  /** How long the warehouse keeps events; 0: for good. */
  eventsTtlDays: number;
};

export const checkNames = [
  "sample_ratio",
  "multiple_variants",
  "unknown_variants",
  "exposures_arriving",
  "late_events",
  "window",
  "invalid_events",
] as const satisfies CheckName[];

const CHECKS: { [Name in CheckName]: (evidence: Evidence) => Finding<Name> } = {
  sample_ratio: checks.checkSampleRatio,
  multiple_variants: checks.checkMultipleVariants,
  unknown_variants: checks.checkUnknownVariants,
  exposures_arriving: checks.checkExposuresArriving,
  late_events: checks.checkLateEvents,
  window: checks.checkWindow,
  invalid_events: checks.checkInvalidEvents,
};

export function checkHealth(evidence: Evidence): Health {
  const found = checkNames.map((name): Check => ({ name, ...CHECKS[name](evidence) }));
  return { status: statusOf(found), checks: found };
}

/** From the worst to the best. */
export const SEVERITY: readonly CheckStatus[] = ["unhealthy", "warning", "waiting", "healthy"];

/** The worst of several: one check that has to wait keeps the whole from being healthy. */
export function statusOf(found: readonly { status: CheckStatus }[]): CheckStatus {
  return SEVERITY.find((status) => found.some((check) => check.status === status)) ?? "healthy";
}
