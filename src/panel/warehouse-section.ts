import { foundTable, type OfferedFeature } from "./found-section.ts";
import { type Markup, markup } from "./markup.ts";
import type { WarehouseView } from "./offered-features.ts";

const MAX_FEATURES = 50;

type Table = Readonly<{ database: string; table: string }>;

/** The state of the warehouse: advice if it can't be counted, or its features. */
export function warehouseSection({ check, found }: WarehouseView, table: Table): Markup {
  if (check?.ok === false)
    return markup`<p class="problem" role="alert">${check.failure}</p>
${setUp(table)}
<p><a href="/warehouse">Check again</a></p>`;
  if (check === null || found === null)
    return markup`<p class="empty">ClickHouse has not answered yet. <a href="/warehouse">Wait for its answer</a></p>`;
  if (!found.ok) return markup`<p class="problem" role="alert">${found.failure}</p>`;
  const { features, isTruncated } = found.value;
  const right = markup`<p>ClickHouse answers, and its events table has the required columns.</p>`;
  if (features.length === 0)
    return markup`${right}
<p class="empty">There are no exposures in the last 30 days. Evaluate a feature with variants in an SDK that sends its events to this ClickHouse. The feature is listed here a minute later. <a href="/warehouse">Check again</a></p>`;
  return markup`${right}
<h2>Found in your warehouse</h2>
<p class="hint">Features with exposures in the last 30 days, the newest first.</p>
${foundTable(features.slice(0, MAX_FEATURES))}
${isTruncated || features.length > MAX_FEATURES ? markup`<p class="hint">There are more. Type the name of another one into <a href="/new">a new experiment</a>.</p>` : ""}`;
}

/** The list's section: features without an open experiment. */
export function uncoveredSection(features: readonly OfferedFeature[]): Markup | "" {
  const uncovered = features.filter(({ experimentId }) => experimentId === null);
  if (uncovered.length === 0) return "";
  return markup`<h2>Found in your warehouse</h2>
<p class="hint">Features with exposures but no open experiment. <a href="/warehouse">All features</a></p>
${foundTable(uncovered.slice(0, 5))}`;
}

function setUp({ database, table }: Table): Markup {
  return markup`<details open><summary>SQL that lets this service read the table</summary>
<button type="button" class="copy" data-copy="set-up">Copy</button>
<pre><code id="set-up">CREATE USER exposures IDENTIFIED WITH sha256_password BY '…' SETTINGS readonly = 2;
GRANT SELECT ON ${database}.${table} TO exposures;</code></pre>
<p class="hint">If ClickHouse has no events table yet, run migrations/clickhouse/0001_events.sql.</p></details>`;
}
