/** The reasons why Flagsmith's API could not be read. */
export type FlagsmithFailure = {
  kind:
    | "unauthorized"
    | "forbidden"
    | "not_found"
    | "rate_limited"
    | "unavailable"
    | "refused"
    | "timeout"
    | "unreachable"
    | "redirected"
    | "not_json"
    | "unexpected"
    | "too_large"
    | "elsewhere"
    | "changing";
};

const OUTAGES: readonly FlagsmithFailure["kind"][] = [
  ...(["unauthorized", "rate_limited", "unavailable", "timeout", "unreachable", "redirected", "not_json"] as const),
];

/** True if no environment can be read. */
export function isOutage({ kind }: FlagsmithFailure): boolean {
  return OUTAGES.includes(kind);
}

/** Describes a failure of an environment and what to do about it. It contains neither the key nor any text of Flagsmith. */
export function adviceForFlagsmith({ kind }: FlagsmithFailure, environmentKey: string): string {
  return `Flagsmith ${ADVICE[kind].replace("{environment}", environmentKey)}`;
}

const AGAIN = "The next sweep tries again; if this persists, check Flagsmith's status.";
const CHECK_URL = "Check FLAGSMITH_API_URL, which usually ends with /api/v1/, and the version of Flagsmith.";
const ADVICE: Record<FlagsmithFailure["kind"], string> = {
  unauthorized: "does not accept the API key. Set FLAGSMITH_API_KEY to a valid key of the organisation.",
  forbidden:
    "denies access to the environment {environment}. Check its key in FLAGSMITH_ENVIRONMENTS, that the API key may administer it, and that the organisation has experiments.",
  not_found: `has no experiments at this address. ${CHECK_URL}`,
  refused: `refuses the request. ${CHECK_URL}`,
  not_json: `did not answer in JSON. ${CHECK_URL}`,
  unexpected: `answered in an unexpected format. ${CHECK_URL}`,
  rate_limited: `limits the rate of requests. ${AGAIN}`,
  unavailable: `has a server error. ${AGAIN}`,
  timeout: `did not answer in time. ${AGAIN}`,
  unreachable: `can't be reached. ${AGAIN}`,
  changing: `changed its list while it was read. ${AGAIN}`,
  redirected: "redirects to another address. Set FLAGSMITH_API_URL to the final address.",
  elsewhere:
    "links to another host for the next page of a list. Set FLAGSMITH_API_URL to the host in the field next of its lists.",
  too_large: "lists more than can be read. Delete experiments and metrics that are no longer needed.",
};
