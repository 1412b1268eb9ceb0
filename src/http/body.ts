import type { Context, MiddlewareHandler } from "hono";
import type * as z from "zod/mini";
import { failed, ok, type Result } from "../result.ts";
import type { InputError, Refusal } from "./problem.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/**
 * Reads the body as text; null if it is not UTF-8. Encoding the text again gives the same bytes. Fails if the declared or
 * actual length exceeds the limit, or if the body ends early.
 */
export async function readText(c: Context, limit: number): Promise<Result<string | null, Refusal>> {
  const tooLarge = failed({ kind: "body_too_large", limit } as const);
  if (Number(c.req.header("Content-Length") ?? 0) > limit) return tooLarge;
  const reader = c.req.raw.body?.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done) break;
      chunks.push(value);
      length += value.length;
      if (length > limit) return tooLarge;
    }
  } catch {
    return failed({ kind: "incomplete_body" });
  }
  const bytes = await new Blob(chunks).arrayBuffer();
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return ok(null);
  }
}

/** Twice the largest body that a route accepts. */
const MAX_DISCARDED = 16 * MIB;
const MAX_DISCARD_MS = 2_000;

/**
 * Reads the body that a handler left unread, for a limited time. The runtimes close the connection otherwise, and a client
 * that is still sending may never see the response (RFC 9112, section 9.6). A client that sent
 * `Expect` may not have sent its body, so that is not read.
 */
export const discardUnreadBody: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.req.method === "GET") return;
  const { body, bodyUsed } = c.req.raw;
  const isShort = Number(c.req.header("Content-Length")) <= MAX_DISCARDED;
  if (body === null || bodyUsed || !isShort || c.req.header("Expect") !== undefined) return;
  const reader = body.getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), MAX_DISCARD_MS);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The client has disconnected.
  } finally {
    clearTimeout(timer);
  }
};

/** Reads and parses the body of a request. */
export async function readBody<Schema extends z.ZodMiniType>(
  c: Context,
  limit: number,
  schema: Schema,
): Promise<Result<z.output<Schema>, Refusal>> {
  const text = await readText(c, limit);
  return text.ok ? parseBody(c.req.header("Content-Type"), text.value, schema) : text;
}

/** Parses a JSON body with the schema. */
export function parseBody<Schema extends z.ZodMiniType>(
  contentType: string | undefined,
  body: string | null,
  schema: Schema,
): Result<z.output<Schema>, Refusal> {
  if (!isOfType(contentType, "application/json"))
    return failed({ kind: "unsupported_media_type", type: "application/json" });
  if (body === null) return failed({ kind: "malformed_json" });
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return failed({ kind: "malformed_json" });
  }
  return parseInput(schema, value);
}

/** Compares a Content-Type header with a media type. Parameters of the header are ignored. */
export function isOfType(contentType: string | undefined, type: string): boolean {
  return contentType?.split(";")[0]?.trim().toLowerCase() === type;
}

/** Parses a value with the schema. Fails with all errors in it. */
export function parseInput<Schema extends z.ZodMiniType>(
  schema: Schema,
  value: unknown,
): Result<z.output<Schema>, Extract<Refusal, { kind: "invalid_input" }>> {
  const parsed = schema.safeParse(value);
  return parsed.success ? ok(parsed.data) : failed({ kind: "invalid_input", errors: errorsOf(parsed.error) });
}

function errorsOf({ issues }: z.core.$ZodError): InputError[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key].join("."), message: "is unknown: leave it out" }));
  });
}
