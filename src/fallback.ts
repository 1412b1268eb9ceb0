import * as z from "zod/mini";

/**
 * Returns a schema whose value is the fallback where there is none, or an invalid one. `z.catch` does the same, but brings
 * all of zod's utilities into the bundle, a fiftieth of it.
 */
export function withFallback<Schema extends z.ZodMiniType, const Value>(schema: Schema, fallback: Value) {
  const anything = z.pipe(
    z.optional(z.unknown()),
    z.transform(() => fallback),
  );
  return z.union([schema, anything]);
}
