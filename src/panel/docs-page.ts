import { openApiDocument } from "../http/openapi.ts";
import type { JsonObject } from "../http/openapi-schemas.ts";
import { type Markup, markup } from "./markup.ts";

const METHODS = ["get", "put", "post", "delete"] as const;

/** The OpenAPI document as a page: every call, who may, what is sent and what is answered. */
export function docsPage(): Markup {
  const { info, paths, webhooks, components } = openApiDocument;
  const { schemas } = objectOf(components);
  return markup`<h1>API</h1>
<p>${String(objectOf(info)["description"])} <a href="/openapi.json">The same as OpenAPI 3.1</a></p>
<nav class="toc" aria-label="Calls"><ul>${callsOf(paths).map(({ anchor, method, path }) => markup`<li><a href="#${anchor}"><code>${method} ${path}</code></a></li>`)}</ul></nav>
${callsOf(paths).map(callSection)}
<h2>What is sent to you</h2>
${callsOf(webhooks).map(callSection)}
<h2>Schemas</h2>
${Object.entries(objectOf(schemas)).map(
  ([name, schema]) =>
    markup`<details id="schema-${name}"><summary><code>${name}</code></summary><pre><code>${JSON.stringify(schema, null, 2)}</code></pre></details>`,
)}`;
}

type Call = { anchor: string; method: string; path: string; operation: JsonObject };

function callsOf(paths: unknown): Call[] {
  return Object.entries(objectOf(paths)).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = objectOf(item)[method];
      if (operation === undefined) return [];
      const anchor = `${method}-${path.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`;
      return [{ anchor, method: method.toUpperCase(), path, operation: objectOf(operation) }];
    }),
  );
}

function callSection({ anchor, method, path, operation }: Call): Markup {
  const { summary, parameters, requestBody, responses, security } = operation;
  const body = objectOf(objectOf(requestBody)["content"]);
  const who = Array.isArray(security) && security.length > 0 ? "A token or a key" : null;
  return markup`<section class="call" id="${anchor}"><h3><code>${method} ${path}</code></h3>
<p>${String(summary)}.${who === null ? "" : ` ${who} in Authorization: Bearer.`}</p>
${
  Array.isArray(parameters) && parameters.length > 0
    ? markup`<p>Parameters: ${parameters.map((parameter, index) => markup`${index > 0 ? ", " : ""}<code>${String(objectOf(parameter)["name"])}</code> (${String(objectOf(parameter)["in"])})`)}</p>`
    : ""
}
${Object.entries(body).map(([type, content]) => markup`<p>Body: <code>${type}</code>, ${schemaOf(objectOf(content)["schema"])}</p>`)}
<table><thead><tr><th scope="col">Status</th><th scope="col">Answer</th></tr></thead><tbody>
${Object.entries(objectOf(responses)).map(([status, response]) => {
  const content = Object.values(objectOf(objectOf(response)["content"]))[0];
  return markup`<tr><td>${status}</td><td>${String(objectOf(response)["description"])}${content === undefined ? "" : markup`: ${schemaOf(objectOf(content)["schema"])}`}</td></tr>`;
})}</tbody></table></section>`;
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
