import { type Markup, markup } from "./markup.ts";

/** A query, and the values of its parameters. */
export type ShownQuery = { sql: string; parameters: Readonly<Record<string, string | number>> };

/** A query to copy. */
export function queryDetails(title: string, id: string, { sql, parameters }: ShownQuery): Markup {
  const values = Object.entries(parameters).map(([name, value]) => `-- param_${name} = ${JSON.stringify(value)}`);
  return markup`<details class="query"><summary>${title}</summary>
<button type="button" class="copy" data-copy="${id}">Copy</button>
<pre><code id="${id}">${[...values, sql].join("\n")}</code></pre></details>`;
}
