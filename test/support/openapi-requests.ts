import fc from "fast-check";
import { anyCharacter } from "./arbitrary.ts";
import { almostValid, hostileText, isObject, type Schema, valid } from "./json-schema.ts";
import type { SignatureHeader } from "./sign.ts";
import { ADMIN, READER } from "./worker.ts";

// Generates requests for the operations of an OpenAPI document: valid, nearly valid and arbitrary ones.

export type GeneratedRequest = {
  method: string;
  /** The path and query. Its percent-encoding may be malformed. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array | null;
  /** The header of the signature, which is added when the request is sent. Null if the request is unsigned. */
  signature: SignatureHeader | null;
};

type Parameter = { name: string; in: string; required: boolean; schema: Schema };

export type Operation = {
  /** `PUT /v1/experiments/{id}` */
  name: string;
  method: string;
  template: string;
  parameters: Parameter[];
  body: { mediaType: string; schema: Schema } | null;
  /** The documented response statuses. */
  statuses: number[];
};

/** Ids of existing experiments, so that not every request ends with 404. */
export const knownIds = ["known-draft", "known-running", "known-final"] as const;

/** Returns all operations of the document, with resolved references. */
export function operationsOf(document: unknown): Operation[] {
  const root = resolve(document, document);
  const paths = isObject(root) && isObject(root["paths"]) ? root["paths"] : {};
  return Object.entries(paths).flatMap(([template, item]) => {
    if (!isObject(item)) return [];
    const { parameters: shared, ...methods } = item;
    return Object.entries(methods).flatMap(([method, operation]): Operation[] => {
      if (!isObject(operation)) return [];
      const content = isObject(operation["requestBody"]) ? operation["requestBody"]["content"] : undefined;
      const [mediaType, media] = Object.entries(isObject(content) ? content : {})[0] ?? [];
      const schema = isObject(media) && isObject(media["schema"]) ? media["schema"] : {};
      return [
        {
          name: `${method.toUpperCase()} ${template}`,
          method: method.toUpperCase(),
          template,
          parameters: [...parametersOf(shared), ...parametersOf(operation["parameters"])],
          body: mediaType === undefined ? null : { mediaType, schema },
          statuses: Object.keys(isObject(operation["responses"]) ? operation["responses"] : {}).map(Number),
        },
      ];
    });
  });
}

function parametersOf(list: unknown): Parameter[] {
  return (Array.isArray(list) ? list.filter(isObject) : []).map((parameter) => ({
    name: String(parameter["name"]),
    in: String(parameter["in"]),
    required: parameter["required"] === true,
    schema: isObject(parameter["schema"]) ? parameter["schema"] : {},
  }));
}

function resolve(node: unknown, root: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => resolve(item, root));
  if (!isObject(node)) return node;
  const reference = node["$ref"];
  if (typeof reference !== "string")
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, root)]));
  let target: unknown = root;
  for (const step of reference.replace(/^#\//, "").split("/")) target = isObject(target) ? target[step] : undefined;
  return resolve(target, root);
}

/** Encodes text for a URL. It is truncated because the runtime rejects long URLs with 414 before the app. */
const encode = (text: string) => encodeURIComponent(text.slice(0, 2000).toWellFormed());
/** Restricts text to the characters that a header may contain. */
const headerText = (text: string) =>
  text
    .toWellFormed()
    .replaceAll(/[^\x20-\x7e]/g, "-")
    .slice(0, 4000);

const authorization = fc.oneof(
  { weight: 12, arbitrary: fc.constant(`Bearer ${ADMIN}`) },
  { weight: 2, arbitrary: fc.constant(`Bearer ${READER}`) },
  { weight: 2, arbitrary: fc.constantFrom("", "Bearer", "Bearer x", "Basic YTpi", "Bearer a b", `bearer  ${ADMIN}`) },
  { weight: 1, arbitrary: hostileText.map((text) => headerText(`Bearer ${text}`)) },
);

const contentTypes = fc.constantFrom(
  ...["application/json", "APPLICATION/JSON", "application/json; charset=utf-16", "application/json;charset=utf-8"],
  ...["application/json,text/plain", "text/json", "application/problem+json", "application/jsonp", "text/plain", ""],
  ...["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/octet-stream", "*/*", ";"],
);

function parameterText({ name, schema }: Parameter): fc.Arbitrary<string> {
  const validText = valid(schema).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  const known = name === "id" || name.endsWith("_id") ? fc.constantFrom<string>(...knownIds) : validText;
  return fc.oneof(
    { weight: 4, arbitrary: known },
    { weight: 5, arbitrary: validText },
    { weight: 2, arbitrary: hostileText },
    { weight: 1, arbitrary: fc.string({ unit: anyCharacter, maxLength: 80 }) },
  );
}

type Corruption = (text: string) => string | Uint8Array;

/** Sometimes corrupts a body. */
const corruption: fc.Arbitrary<Corruption> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Corruption>((text) => text) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Corruption>(
      (text) => text.slice(0, -1),
      (text) => text + text,
      (text) => `\ufeff${text}`,
      (text) => `${text}\0`,
      (text) => text.replaceAll('"', "'"),
      (text) => Buffer.from(text, "utf16le"),
      (text) => Buffer.concat([Buffer.from(text), Buffer.of(0xc3)]),
      () => "",
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => () => bytes) },
);

/** Generates requests of one operation. Each part is valid or nearly valid. */
export function requestsFor(operation: Operation): fc.Arbitrary<GeneratedRequest> {
  const parametersIn = (location: string) => operation.parameters.filter((parameter) => parameter.in === location);
  const texts = (parameters: Parameter[]) =>
    fc.record(Object.fromEntries(parameters.map((parameter) => [parameter.name, parameterText(parameter)])), {
      requiredKeys: parameters.filter(({ required }) => required).map(({ name }) => name),
    });
  const { body } = operation;
  const signatureHeader = parametersIn("header")
    .map(({ name }) => name.toLowerCase())
    .find((name) => name === "webhook-signature" || name === "x-flagsmith-signature");
  return fc
    .record({
      path: texts(parametersIn("path")),
      query: texts(parametersIn("query")),
      extraQuery: fc.oneof(
        { weight: 9, arbitrary: fc.constant("") },
        fc.constantFrom("&x=1", "&%00", "&=", "&limit=1"),
      ),
      headers: texts(parametersIn("header")),
      authorization,
      contentType: fc.oneof({ weight: 9, arbitrary: fc.constant(body?.mediaType ?? "") }, contentTypes),
      value: fc.oneof(
        { weight: 4, arbitrary: valid(body?.schema ?? {}) },
        { weight: 5, arbitrary: almostValid(body?.schema ?? {}) },
      ),
      corrupt: corruption,
      isSigned: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
    })
    .map((parts) => {
      const path = operation.template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(parts.path[name] ?? ""));
      const query = Object.entries(parts.query).map(([name, text]) => `${encode(name)}=${encode(text)}`);
      const fullQuery = query.join("&") + parts.extraQuery;
      const headers = Object.entries(parts.headers).map(([name, text]) => [name, headerText(text)]);
      return {
        method: operation.method,
        path: fullQuery === "" ? path : `${path}?${fullQuery}`,
        headers: {
          ...Object.fromEntries(headers),
          ...(body === null || parts.contentType === "" ? {} : { "Content-Type": parts.contentType }),
          Authorization: parts.authorization,
        },
        body: body === null ? null : parts.corrupt(textOf(parts.value, body.mediaType)),
        signature: parts.isSigned ? (signatureHeader ?? null) : null,
      };
    });
}

function textOf(value: unknown, mediaType: string): string {
  if (typeof value === "string" && !/json/.test(mediaType)) return value.toWellFormed();
  return JSON.stringify(value) ?? "";
}

const methods = fc.constantFrom(
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "SEARCH", "PURGE", "LOCK", "REPORT"],
);

/** Generates arbitrary requests with paths near the served ones. */
export function arbitraryRequests(operations: Operation[]): fc.Arbitrary<GeneratedRequest> {
  const served = operations.flatMap(({ template }) => template.split("/"));
  const segment = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...new Set(served), ...knownIds) },
    fc.constantFrom("", ".", "..", "%2e%2e", "%00", "%2F", "%5C", "%E0%A4", "%ff", "%", "%zz", "%C0%AF", "%u0041"),
    fc.constantFrom("a".repeat(8000), "é", "🧪", ";x=1", "*", ":id", "{id}", "__proto__", "[", "a b", "\\", "@"),
    hostileText.map((text) => encode(text)),
  );
  const anyPath = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join("/")}`);
  const target = fc.oneof(
    fc.record({ method: methods, path: anyPath }),
    fc
      .tuple(fc.constantFrom(...operations), fc.oneof(methods, fc.constant(null)), segment)
      .map(([{ method, template }, other, text]) => ({
        method: other ?? method,
        path: template.replaceAll(/\{\w+\}/g, text),
      })),
  );
  const query = fc.oneof(
    { weight: 3, arbitrary: fc.constant("") },
    fc.constantFrom("?", "??", "?%", "?%00=%00", "?a[]=1&a[]=2", "?limit=%FF", "?__proto__=1", "?cursor=&cursor=a"),
    hostileText.map((text) => `?environment_key=${encode(text)}`),
  );
  const parts = fc.record({
    target: fc
      .tuple(target, query)
      .map(([{ method, path }, search]) => ({ method, path: path.replaceAll("#", "") + search })),
    headers: fc
      .record({ authorization, contentType: contentTypes })
      .map(({ authorization: Authorization, contentType }) => ({
        Authorization,
        ...(contentType === "" ? {} : { "Content-Type": contentType }),
      })),
    body: fc.oneof(
      fc.json(),
      fc.uint8Array({ maxLength: 400 }),
      fc.json().map((text) => text.slice(0, -1)),
      fc.constantFrom("", "{", "[".repeat(100_000), '{"a":'.repeat(100_000), "\ufeff{}", "1".repeat(100_000), "\0"),
    ),
    signature: fc.constantFrom<GeneratedRequest["signature"][]>(null, "webhook-signature", "x-flagsmith-signature"),
  });
  return parts.map(({ target: { method, path }, ...rest }) => ({ method, path, ...rest }));
}
