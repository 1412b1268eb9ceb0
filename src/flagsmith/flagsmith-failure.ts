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

/** Whether no environment can be read. */
export function isOutage({ kind }: FlagsmithFailure): boolean {
  return ["unauthorized", "rate_limited", "unavailable", "timeout", "unreachable", "redirected", "not_json"].includes(
    kind,
  );
}

/** Describes a failure of an environment and what to do about it. It contains neither the key nor any text of Flagsmith. */
export function adviceForFlagsmith({ kind }: FlagsmithFailure, environmentKey: string): string {
  switch (kind) {
    case "unauthorized":
      return "Flagsmith does not accept the API key. Set FLAGSMITH_API_KEY to a valid key of the organisation.";
    case "forbidden":
      return `Flagsmith denies access to the environment ${environmentKey}. Check its key in FLAGSMITH_ENVIRONMENTS, that the API key may administer it, and that the organisation has experiments.`;
    case "not_found":
      return "Flagsmith's API has no experiments at this address. Check FLAGSMITH_API_URL, and that this version of Flagsmith has experiments.";
    case "rate_limited":
      return "Flagsmith limits the rate of requests. The next sweep tries again.";
    case "unavailable":
      return "Flagsmith answers with a server error. The next sweep tries again; if this persists, check Flagsmith's status.";
    case "refused":
      return "Flagsmith refuses the request. Check FLAGSMITH_API_URL, and that this version of Flagsmith has experiments.";
    case "timeout":
      return "Flagsmith did not answer in time. The next sweep tries again; if this persists, check Flagsmith's status.";
    case "unreachable":
      return "Flagsmith can't be reached. Check FLAGSMITH_API_URL and the network.";
    case "redirected":
      return "Flagsmith's API redirects to another address. Set FLAGSMITH_API_URL to the final address.";
    case "not_json":
      return "The answer is not JSON, so it is not from Flagsmith's API. Check FLAGSMITH_API_URL, which usually ends with /api/v1/.";
    case "unexpected":
      return "The answer does not have the shape of Flagsmith's API. Check FLAGSMITH_API_URL and the version of Flagsmith.";
    case "too_large":
      return "The answer of Flagsmith's API is too large. Check FLAGSMITH_API_URL, and delete experiments or metrics that are no longer needed.";
    case "elsewhere":
      return "The pages of Flagsmith's list continue at another address. Set FLAGSMITH_API_URL to the address by which Flagsmith knows itself.";
    case "changing":
      return "Flagsmith's list changed while it was read. The next sweep reads it again.";
  }
}
