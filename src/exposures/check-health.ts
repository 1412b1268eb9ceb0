import { checkSampleRatio } from "./check-sample-ratio.ts";
import {
  checkExposuresArriving,
  checkInvalidEvents,
  checkLateEvents,
  checkMultipleVariants,
  checkUnknownVariants,
  checkWindow,
} from "./checks.ts";
import {
  type Check,
  type CheckName,
  checkNames,
  type Evidence,
  type Finding,
  type Health,
  worstStatus,
} from "./health.ts";

const CHECKS: { [Name in CheckName]: (evidence: Evidence) => Finding<Name> } = {
  sample_ratio: checkSampleRatio,
  multiple_variants: checkMultipleVariants,
  unknown_variants: checkUnknownVariants,
  exposures_arriving: checkExposuresArriving,
  late_events: checkLateEvents,
  window: checkWindow,
  invalid_events: checkInvalidEvents,
};

/** Runs all checks, in the order of the response. */
export function checkHealth(evidence: Evidence): Health {
  const checks = checkNames.map((name): Check => ({ name, ...CHECKS[name](evidence) }));
  return { status: worstStatus(checks), checks };
}
