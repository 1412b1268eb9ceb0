/** An error in the input: its path, and what the value must be. */
export type InputError = { path: string; message: string };

/** The reasons to refuse a request. */
export type Refusal =
  | { kind: "invalid_input"; errors: InputError[] }
  | { kind: "malformed_json" }
  | { kind: "incomplete_body" }
  | { kind: "body_too_large"; limit: number }
  | { kind: "unsupported_media_type"; type: string }
  | { kind: "unauthorized"; detail: string; challenge: string }
  | { kind: "forbidden"; detail: string }
  | { kind: "too_many_attempts"; retryAfterSeconds: number }
  | { kind: "not_found" }
  | { kind: "method_not_allowed"; allow: string }
  | { kind: "feature_taken" }
  | { kind: "other_source" }
  | { kind: "not_started" }
  | { kind: "final" }
  | { kind: "final_numbers" }
  | { kind: "not_final" }
  | { kind: "no_states" }
  | { kind: "no_receiver" }
  | { kind: "no_flagsmith" }
  | { kind: "too_soon"; retryAfterSeconds: number }
  | { kind: "warehouse"; detail: string }
  | { kind: "flagsmith"; detail: string }
  | { kind: "unavailable" }
  | { kind: "not_ready" }
  | { kind: "misconfigured"; detail: string }
  | { kind: "bug" };

export type Problem = {
  status: number;
  title: string;
  detail: string;
  errors?: InputError[];
  headers?: Record<string, string>;
};

/** Maps refusals to HTTP. This is the only place that does. */
export function problemOf(refusal: Refusal): Problem {
  switch (refusal.kind) {
    case "invalid_input":
      return {
        status: 400,
        title: "Invalid input",
        detail: "The input is invalid. Correct what errors lists, and send it again.",
        errors: refusal.errors,
      };
    case "malformed_json":
      return {
        status: 400,
        title: "Malformed JSON",
        detail: "The body does not parse. Send one JSON value in UTF-8.",
        errors: [{ path: "", message: "must be one JSON value in UTF-8" }],
      };
    case "incomplete_body":
      return {
        status: 400,
        title: "Incomplete body",
        detail: "The body ended early. Send it again.",
        errors: [{ path: "", message: "must arrive complete" }],
      };
    case "body_too_large":
      return {
        status: 413,
        title: "Body too large",
        detail: `The body is too large. Send at most ${refusal.limit} bytes.`,
      };
    case "unsupported_media_type":
      return {
        status: 415,
        title: "Unsupported media type",
        detail: `The content type is not supported. Send the body with Content-Type: ${refusal.type}.`,
      };
    case "unauthorized":
      return {
        status: 401,
        title: "Unauthorized",
        detail: refusal.detail,
        headers: { "WWW-Authenticate": refusal.challenge },
      };
    case "forbidden":
      return { status: 403, title: "Forbidden", detail: refusal.detail };
    case "too_many_attempts":
      return {
        status: 429,
        title: "Too many failed attempts",
        detail: `Too many attempts from this address have failed. Try again in ${refusal.retryAfterSeconds} s.`,
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
    case "not_found":
      return { status: 404, title: "Not found", detail: "Nothing was found here. Check the address and the id." };
    case "method_not_allowed":
      return {
        status: 405,
        title: "Method not allowed",
        detail: `This address does not support the method. Use ${refusal.allow}.`,
        headers: { Allow: refusal.allow },
      };
    case "feature_taken":
      return {
        status: 409,
        title: "Feature taken",
        detail:
          "The window overlaps that of another experiment of this environment and feature. End that one first, or change the times.",
      };
    case "other_source":
      return {
        status: 409,
        title: "Defined in Flagsmith",
        detail: "Flagsmith defines this experiment. Change it in Flagsmith; the next sync applies the change here.",
      };
    case "no_flagsmith":
      return {
        status: 409,
        title: "No Flagsmith",
        detail: "No experiments are synced from Flagsmith. Set FLAGSMITH_API_KEY and FLAGSMITH_ENVIRONMENTS first.",
      };
    case "flagsmith":
      return { status: 502, title: "Flagsmith not ready", detail: refusal.detail };
    case "not_started":
      return {
        status: 409,
        title: "Not started",
        detail: "The experiment has not started. Set started_at to a time in the past first.",
      };
    case "final":
      return {
        status: 409,
        title: "Final",
        detail: "The experiment has ended and its numbers are final. To count them again, request a recount.",
      };
    case "final_numbers":
      return {
        status: 409,
        title: "Final numbers",
        detail:
          "This edit would replace final numbers, and their events may have expired. To replace them, send it again with ?replace_numbers=true.",
      };
    case "not_final":
      return {
        status: 409,
        title: "Not final",
        detail: "The numbers are not final, so there is nothing to recount. Request a refresh instead.",
      };
    case "no_states":
      return {
        status: 409,
        title: "No states",
        detail: "There are no states to rebuild, because EXPOSURE_SOURCE is events. Request a refresh instead.",
      };
    case "no_receiver":
      return {
        status: 409,
        title: "No receiver",
        detail: "There is no receiver of alerts. Set ALERT_WEBHOOK_URL first.",
      };
    case "too_soon":
      return {
        status: 429,
        title: "Too soon",
        detail: `A refresh, recount or rebuild was requested too recently. Try again in ${refusal.retryAfterSeconds} s.`,
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
    case "warehouse":
      return { status: 502, title: "Warehouse not ready", detail: refusal.detail };
    case "unavailable":
      return {
        status: 503,
        title: "Unavailable",
        detail: "The database did not answer. Try again.",
        headers: { "Retry-After": "5" },
      };
    case "not_ready":
      return {
        status: 503,
        title: "Not ready",
        detail: "The service is not ready. Its log states the reason.",
        headers: { "Retry-After": "5" },
      };
    case "misconfigured":
      return { status: 500, title: "Misconfigured", detail: refusal.detail };
    case "bug":
      return {
        status: 500,
        title: "Internal error",
        detail: "An unexpected error occurred, and was logged. Try again, and report it if it persists.",
      };
  }
}

/** Creates the RFC 9457 response to a refusal. Its type is a URN: clients compare it, and do not open it. */
export function refuse(refusal: Refusal): Response {
  const { status, title, detail, errors, headers } = problemOf(refusal);
  const type = `urn:edge-exposures:problem:${refusal.kind.replaceAll("_", "-")}`;
  return new Response(JSON.stringify({ type, title, status, detail, errors }), {
    status,
    headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...headers },
  });
}
