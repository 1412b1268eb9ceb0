import type { JsonObject } from "../http/openapi-parts.ts";
import { type Markup, markup } from "./markup.ts";

const METHODS = ["get", "put", "post", "delete"] as const;

/** The OpenAPI document as a page: every call, who may, what is sent and what is answered. */
export function docsPage({ info, paths, webhooks, components }: JsonObject): Markup {
  const { schemas } = objectOf(components);
  const [calls, sent] = [callsOf(paths), callsOf(webhooks)];
  return markup`<h1>API</h1>
<p>${objectOf(info)["description"]} <a href="/openapi.json">The same as OpenAPI 3.1</a>. Errors are
<a href="#schema-Problem">problem details</a> (RFC 9457), whose <code>detail</code> says what to do.</p>
<nav class="toc" aria-label="Calls"><ul>${calls.map(
    ({ anchor, method, path }) => markup`<li><a href="#${anchor}"><code>${method} ${path}</code></a></li>`,
  )}</ul></nav>
<h2>What is asked for</h2>
${calls.map(callSection)}
<h2>What is sent to you</h2>
${sent.map(callSection)}
<h2 id="refusals">Refusals</h2>
<dl class="refusals">${[...refusalsOf(calls)].map(([status, why]) => markup`<dt>${status}</dt><dd>${why}.</dd>`)}</dl>
<h2>Schemas</h2>
${Object.entries(objectOf(schemas)).map(
  ([name, schema]) =>
    markup`<details id="schema-${name}"><summary><code>${name}</code></summary><pre><code>${JSON.stringify(schema, null, 1)}</code></pre></details>`,
)}`;
}

type Call = {
  anchor: string;
  method: string;
  path: string;
  operation: JsonObject;
  /** By status. */
  responses: [string, JsonObject][];
};

function callsOf(paths: unknown): Call[] {
  return Object.entries(objectOf(paths)).flatMap(([path, item]) =>
    METHODS.flatMap((method): Call[] => {
      if (!(method in objectOf(item))) return [];
      const operation = objectOf(objectOf(item)[method]);
      const anchor = `${method}-${path.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`;
      const responses = Object.entries(objectOf(operation["responses"])).map(
        ([status, response]): [string, JsonObject] => [status, objectOf(response)],
      );
      return [{ anchor, method: method.toUpperCase(), path, operation, responses }];
    }),
  );
}

const isRefusal = ([status]: [string, JsonObject]) => /^[45]/.test(status);

function refusalsOf(calls: readonly Call[]): Map<string, unknown> {
  const refusals = calls.flatMap(({ responses }) => responses.filter(isRefusal));
  return new Map(
    refusals.sort(([a], [b]) => a.localeCompare(b)).map(([status, { description }]) => [status, description]),
  );
}

function callSection({ anchor, method, path, operation, responses }: Call): Markup {
  const { summary, parameters, requestBody, security } = operation;
  const body = Object.entries(objectOf(objectOf(requestBody)["content"]));
  const refusals = responses.filter(isRefusal).map(([status]) => status);
  const isOpen = Array.isArray(security) && security.length === 0;
  const rows = [
    ...(isOpen || security === undefined
      ? []
      : [["Who", markup`<code>Authorization: Bearer</code> and a token or key`]]),
    ...(Array.isArray(parameters) && parameters.length > 0 ? [["Parameters", parameters.map(parameterOf)]] : []),
    ...body.map(([type, content]) => ["Body", markup`<code>${type}</code>: ${schemaOf(objectOf(content)["schema"])}`]),
    ...responses.filter((response) => !isRefusal(response)).map(([status, response]) => [status, answerOf(response)]),
    ...(refusals.length > 0 ? [["Refusals", markup`<a href="#refusals">${refusals.join(", ")}</a>`]] : []),
  ];
  return markup`<section class="call" id="${anchor}"><h3><code>${method} ${path}</code></h3>
<p>${summary}.</p>
<dl>${rows.map(([term, description]) => markup`<dt>${term}</dt><dd>${description}</dd>`)}</dl></section>`;
}

function parameterOf(parameter: unknown): Markup {
  const { name, in: where } = objectOf(parameter);
  return markup`<code>${name}</code> (${where}) `;
}

function answerOf({ description, content }: JsonObject): Markup {
  const [shown] = Object.values(objectOf(content));
  return markup`${description}${shown === undefined ? "" : markup`: ${schemaOf(objectOf(shown)["schema"])}`}`;
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
