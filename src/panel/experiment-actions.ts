import { statusAt } from "../experiment.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup } from "./markup.ts";

/** The link to an experiment's form, and the buttons that start and end it. */
export function experimentActions({ experiment, now }: ExperimentView): Markup {
  const path = `/experiments/${encodeURIComponent(experiment.id)}`;
  const status = statusAt(experiment, now);
  const button = (action: string, label: string) =>
    markup`<form method="post" action="${path}/${action}"><button>${label}</button></form>`;
  return markup`<div class="actions"><a href="${path}/edit">Edit</a>
${status === "draft" ? button("start", "Start now") : status === "running" ? button("end", "End now") : ""}</div>`;
}
