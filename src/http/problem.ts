/** One thing wrong with what was sent: where, and what to do about it. */
export type InputError = { path: string; message: string };

/** Every way in which a request is not answered as asked. */
export type Refusal =
  | { kind: "invalid_input"; errors: InputError[] }
  | { kind: "malformed_json" }
  | { kind: "incomplete_body" }
  | { kind: "body_too_large"; limit: number }
  | { kind: "unsupported_media_type"; type: string }
  | { kind: "unauthorized"; detail: string; challenge: string }
  | { kind: "forbidden"; detail: string }
  | { kind: "shut_out"; retryAfterSeconds: number }
  | { kind: "not_found" }
  | { kind: "method_not_allowed"; allow: string }
  | { kind: "feature_taken" }
  | { kind: "not_started" }
  | { kind: "final" }
  | { kind: "no_states" }
  | { kind: "too_soon"; retryAfterSeconds: number }
  | { kind: "warehouse"; detail: string }
  | { kind: "unavailable" }
  | { kind: "misconfigured"; detail: string }
  | { kind: "bug" };

type Problem = {
  status: number;
  title: string;
  detail: string;
  errors?: InputError[];
  headers?: Record<string, string>;
};

/** The one place where refusals become HTTP. */
function problemOf(refusal: Refusal): Problem {
  switch (refusal.kind) {
    case "invalid_input":
      return {
        status: 400,
        title: "Invalid input",
        detail: "Correct what errors lists and send it again.",
        errors: refusal.errors,
      };
    case "malformed_json":
      return {
        status: 400,
        title: "Malformed JSON",
        detail: "The body does not parse.",
        errors: [{ path: "", message: "must be one JSON value in UTF-8" }],
      };
    case "incomplete_body":
      return {
        status: 400,
        title: "Incomplete body",
        detail: "The body broke off before its end.",
        errors: [{ path: "", message: "must arrive whole" }],
      };
    case "body_too_large":
      return { status: 413, title: "Body too large", detail: `The body may have at most ${refusal.limit} bytes.` };
    case "unsupported_media_type":
      return {
        status: 415,
        title: "Unsupported media type",
        detail: `Send the body with Content-Type: ${refusal.type}.`,
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
    case "shut_out":
      return {
        status: 429,
        title: "Too many failed attempts",
        detail: `Too many attempts from this address have failed. Try again in ${refusal.retryAfterSeconds} s.`,
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
    case "not_found":
      return { status: 404, title: "Not found", detail: "There is nothing at this address." };
    case "method_not_allowed":
      return {
        status: 405,
        title: "Method not allowed",
        detail: `This address takes ${refusal.allow}.`,
        headers: { Allow: refusal.allow },
      };
    case "feature_taken":
      return {
        status: 409,
        title: "Feature taken",
        detail: "Another experiment of this environment and feature has not ended. End it first.",
      };
    case "not_started":
      return { status: 409, title: "Not started", detail: "An experiment has no exposures before its started_at." };
    case "final":
      return { status: 409, title: "Final", detail: "The experiment has ended and its numbers are final." };
    case "no_states":
      return {
        status: 409,
        title: "No states",
        detail: "EXPOSURE_SOURCE is events: every refresh counts from the events, and there is nothing to rebuild.",
      };
    case "too_soon":
      return {
        status: 429,
        title: "Too soon",
        detail: `A refresh was asked for a moment ago. Ask again in ${refusal.retryAfterSeconds} s.`,
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
    case "misconfigured":
      return { status: 500, title: "Misconfigured", detail: refusal.detail };
    case "bug":
      return { status: 500, title: "Internal error", detail: "Something went wrong on our side; the log has it." };
  }
}

/** An RFC 9457 answer. Its type is a URN that names the kind, to be compared, not opened. */
export function refuse(refusal: Refusal): Response {
  const { status, title, detail, errors, headers } = problemOf(refusal);
  const type = `urn:edge-exposures:problem:${refusal.kind.replaceAll("_", "-")}`;
  return new Response(JSON.stringify({ type, title, status, detail, errors }), {
    status,
    headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...headers },
  });
}
