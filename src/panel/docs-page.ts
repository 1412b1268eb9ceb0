import { raw } from "hono/html";
import type { JsonObject } from "../http/openapi.ts";
import { type Markup, markup } from "./markup.ts";

const METHODS = ["get", "put", "post", "delete"] as const;

/** Renders the OpenAPI document as a page. */
export function docsPage({ info, paths, webhooks, components }: JsonObject): Markup {
  const { schemas, securitySchemes } = objectOf(components);
  const sectionOf = (operation: Operation) => operationSection(operation, objectOf(securitySchemes));
  const endpoints = operationsOf(paths);
  return markup`<h1>API reference</h1>
<p>${objectOf(info)["description"]} This page shows the
<a href="/openapi.json">OpenAPI 3.1 document</a>. Errors are
<a href="#schema-Problem">problem details</a> (RFC 9457): <code>detail</code> says what went wrong and what to do.</p>
<nav class="toc" aria-label="Endpoints"><ul>${endpoints.map(
    ({ anchor, method, path }) => markup`<li><a href="#${anchor}"><code>${method} ${path}</code></a></li>`,
  )}</ul></nav>
<h2>Endpoints</h2>
${endpoints.map(sectionOf)}
<h2>Webhooks sent to you</h2>
${operationsOf(webhooks).map(sectionOf)}
<h2 id="errors">Errors</h2>
<dl class="errors">${[...errorsOf(endpoints)].map(([status, description]) => markup`<dt>${status}</dt><dd>${description}.</dd>`)}</dl>
<h2>Schemas</h2>
${Object.entries(objectOf(schemas)).map(
  ([name, schema]) =>
    markup`<details id="schema-${name}"><summary><code>${name}</code></summary><pre><code>${notationOf(schema)}</code></pre></details>`,
)}`;
}

/** JSON that fits a page: small parts are on one line, and quotes, which text may contain, are not escaped. */
function notationOf(schema: unknown): Markup {
  const text = JSON.stringify(schema, null, 1)
    .replaceAll(/^( *)"([\w$]+)":/gm, "$1$2:")
    .replaceAll(/([[{])\n([^[\]{}]*)\n *([\]}])/g, (_, open: string, content: string, close: string) =>
      [open, content.trim().replaceAll(/\n */g, " "), close].join(" "),
    );
  return raw(text.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
}

type Operation = {
  anchor: string;
  method: string;
  path: string;
  definition: JsonObject;
  /** Pairs of a status and its response. */
  responses: [string, JsonObject][];
};

function operationsOf(paths: unknown): Operation[] {
  return Object.entries(objectOf(paths)).flatMap(([path, item]) =>
    METHODS.flatMap((method): Operation[] => {
      if (!(method in objectOf(item))) return [];
      const definition = objectOf(objectOf(item)[method]);
      const anchor = `${method}-${path.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`;
      const responses = Object.entries(objectOf(definition["responses"])).map(
        ([status, response]): [string, JsonObject] => [status, objectOf(response)],
      );
      return [{ anchor, method: method.toUpperCase(), path, definition, responses }];
    }),
  );
}

const isError = ([status]: [string, JsonObject]) => /^[45]/.test(status);

function errorsOf(operations: readonly Operation[]): Map<string, unknown> {
  const errors = operations.flatMap(({ responses }) => responses.filter(isError));
  return new Map(
    errors.sort(([a], [b]) => a.localeCompare(b)).map(([status, { description }]) => [status, description]),
  );
}

function operationSection(
  { anchor, method, path, definition, responses }: Operation,
  securitySchemes: JsonObject,
): Markup {
  const { summary, parameters, requestBody, security } = definition;
  const body = Object.entries(objectOf(objectOf(requestBody)["content"]));
  const errors = responses.filter(isError).map(([status]) => status);
  const rows = [
    ...accessOf(security, securitySchemes).map((access) => ["Access", access]),
    ...(Array.isArray(parameters) && parameters.length > 0 ? [["Parameters", parameters.map(parameterOf)]] : []),
    ...body.map(([type, content]) => ["Body", markup`<code>${type}</code>: ${schemaOf(objectOf(content)["schema"])}`]),
    ...responses.filter((response) => !isError(response)).map(([status, response]) => [status, responseOf(response)]),
    ...(errors.length > 0 ? [["Errors", markup`<a href="#errors">${errors.join(", ")}</a>`]] : []),
  ];
  return markup`<section class="operation" id="${anchor}"><h3><code>${method} ${path}</code></h3>
<p>${summary}.</p>
<dl>${rows.map(([term, description]) => markup`<dt>${term}</dt><dd>${description}</dd>`)}</dl></section>`;
}

function accessOf(security: unknown, securitySchemes: JsonObject): Markup[] {
  const schemes = (Array.isArray(security) ? security : []).flatMap((requirement) =>
    Object.keys(objectOf(requirement)),
  );
  return schemes.map((scheme) =>
    scheme === "bearer"
      ? markup`<code>Authorization: Bearer</code> with a token or an API key`
      : markup`${objectOf(securitySchemes[scheme])["description"]}`,
  );
}

function parameterOf(parameter: unknown): Markup {
  const { name, in: location } = objectOf(parameter);
  return markup`<code>${name}</code> (${location}) `;
}

function responseOf({ description, content }: JsonObject): Markup {
  const [first] = Object.values(objectOf(content));
  return markup`${description}${first === undefined ? "" : markup`: ${schemaOf(objectOf(first)["schema"])}`}`;
}

function schemaOf(schema: unknown): Markup {
  const reference = objectOf(schema)["$ref"];
  if (typeof reference !== "string") return markup`<code>${JSON.stringify(schema)}</code>`;
  const name = reference.slice(reference.lastIndexOf("/") + 1);
  return markup`<a href="#schema-${name}">${name}</a>`;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
