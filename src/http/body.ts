import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type * as z from "zod";
import { failed, ok, type Result } from "../result.ts";
import { type InputError, type Refusal, refuse } from "./problem.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Refuses a longer body, declared or sent, and one that breaks off: the caller is gone then, or sends no HTTP. */
export function limitBody(limit: number): MiddlewareHandler {
  const measure = bodyLimit({ maxSize: limit, onError: () => refuse({ kind: "body_too_large", limit }) });
  return async (c, next) => {
    try {
      const refused = await measure(c, async () => void (await c.req.arrayBuffer()));
      if (refused !== undefined) return refused;
    } catch {
      return refuse({ kind: "incomplete_body" });
    }
    return next();
  };
}

/** The body as text, or null if it is not UTF-8. Byte for byte: encoding it again gives what was sent. */
export async function readText(c: Context): Promise<string | null> {
  const bytes = await c.req.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The body as a value of the schema, or why it is none. */
export function parseBody<Schema extends z.ZodType>(
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

/** Whether a Content-Type is that one, with or without parameters. */
export function isOfType(contentType: string | undefined, type: string): boolean {
  return contentType?.split(";")[0]?.trim().toLowerCase() === type;
}

/** A value of the schema, or the list of what is wrong with it. */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): Result<z.output<Schema>, Extract<Refusal, { kind: "invalid_input" }>> {
  const parsed = schema.safeParse(value);
  return parsed.success ? ok(parsed.data) : failed({ kind: "invalid_input", errors: errorsOf(parsed.error) });
}

function errorsOf({ issues }: z.ZodError): InputError[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key].join("."), message: "is not known here: leave it out" }));
  });
}
