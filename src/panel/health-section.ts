import { SEVERITY } from "../exposures/health.ts";
import { healthBadge, titleOf } from "./badges.ts";
import { type Markup, markup } from "./markup.ts";
import type { CheckResult, Exposures } from "./parse-exposures.ts";

export function healthSection({ health }: Exposures): Markup {
  const checks = bySeverity(health.checks).map(
    ({ name, status, detail }) =>
      markup`<li>${healthBadge(status)} <div><h3>${titleOf(name)}</h3><p>${detail}</p></div></li>`,
  );
  return markup`<section class="health" aria-label="Health"><h2>Health</h2><ul>${checks}</ul></section>`;
}

/** Sorts checks from worst to best. Checks of the same status keep their order. */
export function bySeverity(checks: readonly CheckResult[]): CheckResult[] {
  return checks.toSorted((a, b) => SEVERITY.indexOf(a.status) - SEVERITY.indexOf(b.status));
}
