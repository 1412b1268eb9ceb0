import fc from "fast-check";

// Generates values that match a JSON Schema, and values that almost match it.

export type Schema = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const schemasIn = (value: unknown): Schema[] => (Array.isArray(value) ? value.filter(isObject) : []);
const numberIn = (schema: Schema, key: string) => (typeof schema[key] === "number" ? schema[key] : undefined);

/** Text that often breaks parsers: quotes, escapes, NUL, lone surrogates, names of Object.prototype. */
export const hostileText = fc.constantFrom(
  ...["", " ", "0", "-1", "null", "undefined", "true", "NaN", "[]", "{}", "a\0b", "\ud800", "\udc00x", "e\u0301"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "*", "%", "%00", "..", "../..", ".", "/", "\\", "?"],
  ...["' OR '1'='1", "'; DROP TABLE experiments; --", '"', "`", "\\'", "{x:String}", "$x", "?1", "\r\n", "\u2028"],
  ...["🧪", "ltr\u202ertl", "\ufeff", "1e400", "2026-02-30T00:00:00.000Z", "a".repeat(65), "x".repeat(70_000)],
);

/** Generates values that match the schema. An empty schema matches any JSON. Rules that JSON Schema can't express are ignored. */
export function valid(schema: Schema): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema["const"]);
  if (Array.isArray(schema["enum"])) return fc.constantFrom<unknown>(...schema["enum"]);
  const choices = [...schemasIn(schema["anyOf"]), ...schemasIn(schema["oneOf"])];
  if (choices.length > 0) return fc.oneof(...choices.map(valid));
  if (Array.isArray(schema["type"])) return fc.oneof(...schema["type"].map((type) => valid({ ...schema, type })));
  switch (schema["type"]) {
    case "string":
      return validText(schema);
    case "integer":
      return fc.integer({ min: numberIn(schema, "minimum") ?? -1000, max: numberIn(schema, "maximum") ?? 1_000_000 });
    case "number":
      return fc.double({
        min: numberIn(schema, "minimum") ?? -1e9,
        max: numberIn(schema, "maximum") ?? 1e9,
        noNaN: true,
      });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valid(isObject(schema["items"]) ? schema["items"] : {}), {
        minLength: numberIn(schema, "minItems") ?? 0,
        maxLength: Math.min(numberIn(schema, "maxItems") ?? 4, 1000),
      });
    case "object":
      return validObject(schema);
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function validText(schema: Schema): fc.Arbitrary<string> {
  if (schema["format"] === "date-time") {
    const within = { min: new Date("2024-01-01"), max: new Date("2027-12-31"), noInvalidDate: true };
    return fc.date(within).map((date) => date.toISOString());
  }
  const { pattern } = schema;
  const minLength = numberIn(schema, "minLength") ?? 0;
  const text = fc.string({ unit: "grapheme", minLength, maxLength: numberIn(schema, "maxLength") ?? minLength + 20 });
  if (typeof pattern !== "string") return text;
  try {
    // fast-check supports no lookahead.
    const simpler = pattern.replace(/^\^\(\?!.*?\)/, "^");
    const matches = new RegExp(pattern);
    return fc.stringMatching(new RegExp(simpler), { size: "small" }).filter((each) => matches.test(each));
  } catch {
    return text; // fast-check does not support every pattern.
  }
}

function validObject(schema: Schema): fc.Arbitrary<unknown> {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
  const model = Object.fromEntries(
    Object.entries(properties).map(([key, property]) => [key, valid(isObject(property) ? property : {})]),
  );
  return fc.record(model, { requiredKeys: required.filter((key) => key in model) });
}

type Mutation = (value: unknown) => unknown;

const invalidValues: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, [], {}, true, 0, -0, -1, 0.5, 2 ** 53 + 2, 1e308, -1e308, [[]], [null], [{}]),
  hostileText,
  fc.jsonValue({ maxDepth: 2 }),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  invalidValues.map((invalid) => () => invalid),
  fc.constantFrom<Mutation>(
    (value) => [value],
    (value) => ({ value }),
    (value) => (isObject(value) ? Object.values(value) : { 0: value }),
    (value) => JSON.stringify(value),
    (value) => (Array.isArray(value) ? [...value, ...value] : `${JSON.stringify(value)} `),
    () => undefined,
  ),
  fc.tuple(fc.oneof(hostileText, fc.constantFrom("id", "status", "extra", "created_at")), invalidValues).map(
    ([key, invalid]): Mutation =>
      (value) =>
        Object.fromEntries([...Object.entries(isObject(value) ? value : {}), [key, invalid]]),
  ),
);

/** Generates values that match the schema except for one mutation at any depth, such as a missing key or another type. */
export function almostValid(schema: Schema): fc.Arbitrary<unknown> {
  return fc.tuple(valid(schema), fc.nat(), mutation).map(([value, index, mutate]) => {
    const count = countNodes(value);
    return mutateAt(value, index % count, mutate);
  });
}

const childrenOf = (value: unknown): unknown[] =>
  typeof value === "object" && value !== null ? Object.values(value) : [];

function countNodes(value: unknown): number {
  return childrenOf(value).reduce<number>((count, child) => count + countNodes(child), 1);
}

/** Returns a copy with one node replaced. Nodes are numbered in preorder. */
function mutateAt(value: unknown, index: number, mutate: Mutation): unknown {
  if (index === 0) return mutate(value);
  let offset = 1;
  const visit = (child: unknown) => {
    const size = countNodes(child);
    const isInside = index >= offset && index < offset + size;
    const copy = isInside ? mutateAt(child, index - offset, mutate) : child;
    offset += size;
    return copy;
  };
  if (Array.isArray(value)) return value.map(visit);
  return Object.fromEntries(Object.entries(isObject(value) ? value : {}).map(([key, child]) => [key, visit(child)]));
}
