import type { Context } from "hono";
import { type InputError, problemOf, type Refusal } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import type { Result } from "../result.ts";
import type { SavedExperiment } from "../store/experiments.ts";
import { FINAL_NUMBERS_COST } from "./edit-costs.ts";
import { type ExperimentFormView, inPageOrder } from "./experiment-form.ts";
import { rememberWrite } from "./own-writes.ts";

/** The parts of a form that its submission decides, and the status of the response. */
export type Shown = Partial<
  Pick<ExperimentFormView, "errors" | "focus" | "notice" | "costs" | "preview" | "remark">
> & {
  openedAt?: number;
  status?: number;
};

/** Redirects to a saved experiment, or shows the form with the reason why it was refused. */
export function saved(
  c: Context<AppEnv>,
  outcome: Result<SavedExperiment, Refusal>,
  again: (shown: Shown) => Promise<Response>,
): Response | Promise<Response> {
  if (outcome.ok) {
    rememberWrite(c);
    return c.redirect(`/experiments/${encodeURIComponent(outcome.value.experiment.id)}`, 303);
  }
  const { failure } = outcome;
  if (failure.kind === "invalid_input") return again(rejected(failure.errors));
  if (failure.kind === "final_numbers") return again({ costs: [FINAL_NUMBERS_COST], status: 409 });
  const { detail, status } = problemOf(failure);
  return again({ notice: detail, status });
}

/** The form again, with errors. The first field with one has the focus. */
export function rejected(errors: readonly InputError[]): Shown {
  const inOrder = inPageOrder(errors);
  return { errors: inOrder, focus: inOrder[0]?.path ?? null, status: 400 };
}
