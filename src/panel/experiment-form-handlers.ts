import type { Context } from "hono";
import { type Experiment, statusAt } from "../experiment.ts";
import { MIB, parseInput } from "../http/body.ts";
import { hasRight, isInScope } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import {
  EXPERIMENT_LIMIT,
  errorsOfId,
  removeExperiment,
  type SaveOptions,
  saveExperiment,
} from "../http/experiment-edits.ts";
import type { Refusal } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { isoTime } from "../http/responses.ts";
import { experimentBody, experimentInput } from "../http/schemas.ts";
import type { Result } from "../result.ts";
import { listEnvironments } from "../store/experiment-list.ts";
import type { SavedExperiment } from "../store/experiments.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { completeFields, pathsInForm, proposeIds } from "./complete-fields.ts";
import { costsOf, FINAL_NUMBERS_COST } from "./edit-costs.ts";
import {
  bodyOf,
  type ExperimentFields,
  editRows,
  fieldsFound,
  fieldsOf,
  inputTime,
  newExperiment,
  readFields,
} from "./experiment-fields.ts";
import { experimentForm } from "./experiment-form.ts";
import { readForm } from "./forms.ts";
import { htmlResponse } from "./html-response.ts";
import { safeText } from "./markup.ts";
import { experimentNotFound, forbiddenPage, otherSourcePage, READ_ONLY, refusedFormPage } from "./message-pages.ts";
import { waitFor } from "./offered-features.ts";
import { rememberWrite } from "./own-writes.ts";
import { previewOf } from "./preview.ts";
import { askToSignIn } from "./redirects.ts";
import { rejected, type Shown, saved } from "./submitted-form.ts";
import type { Visitor, Visitors } from "./visitors.ts";

type Handler = (c: Context<AppEnv>) => Promise<Response>;
type Body = ReturnType<typeof bodyOf>;
/** The max wait for suggested names, in milliseconds. Without them, the form is shown all the same. */
const WAIT_MS = 1000;

/** The max length of a form, in bytes. A definition is several times as long in a form as it is in JSON. */
const FORM_LIMIT = MIB;

const FOUND =
  "The fields are filled in from your warehouse. The start is the first exposure of the last 30 days. The weights are a guess from the shares of the variants: correct them if you configured others.";

/** The handlers of the forms that create, edit, start, end and delete an experiment. */
export function createExperimentForms(deps: AppDeps, { visitorOf }: Visitors) {
  const { database, summaries, discovery, clock } = deps;

  /** Lets a visitor with the right to write pass. */
  function forWriters(handle: (c: Context<AppEnv>, visitor: Visitor) => Promise<Response>): Handler {
    return async (c) => {
      const visitor = await visitorOf(c, "write");
      if (visitor === null) return askToSignIn(c);
      if (hasRight(visitor.caller, "write")) return handle(c, visitor);
      return forbiddenPage(c, frameOf(visitor), READ_ONLY);
    };
  }

  /**
   * Passes the experiment on if the visitor may see it and Flagsmith does not define it. It is read from the primary, because
   * an edit replaces all of it.
   */
  function ofExperiment(
    handle: (c: Context<AppEnv>, visitor: Visitor, summary: StoredSummary) => Promise<Response>,
  ): Handler {
    return forWriters(async (c, visitor) => {
      const summary = await summaries.readOnPrimary(c.req.param("id") ?? "");
      if (summary === null || !isInScope(visitor.caller, summary.experiment))
        return experimentNotFound(c, frameOf(visitor));
      const { id, source } = summary.experiment;
      return source === "api" ? handle(c, visitor, summary) : otherSourcePage(c, frameOf(visitor), id);
    });
  }

  async function submit(c: Context<AppEnv>, visitor: Visitor, stored: StoredSummary | null): Promise<Response> {
    const form = await readForm(c, FORM_LIMIT);
    if (!form.ok) return refusedFormPage(c, frameOf(visitor), form.failure);
    const typed = readFields(form.value);
    const openedAt = Number(form.value.get("opened_at"));
    const edited = editRows(typed, form.value);
    if (edited !== null) return show(c, visitor, stored, edited, { openedAt, focus: changedRow(edited, form.value) });

    if (isTooLarge(typed, stored?.experiment ?? null))
      return refusedFormPage(c, frameOf(visitor), { kind: "body_too_large", limit: EXPERIMENT_LIMIT });
    const now = clock();
    const action = form.value.get("do");
    const fields = completeFields(action === "start" ? { ...typed, started_at: inputTime(now) } : typed);
    // The form shows what was typed, with its empty rows.
    const again = ({ errors = [], focus = null, ...shown }: Shown) => {
      const inForm = pathsInForm(typed);
      const shownErrors = errors.map(({ path, message }) => ({ path: inForm(path), message }));
      return show(c, visitor, stored, typed, {
        openedAt,
        ...shown,
        errors: shownErrors,
        focus: focus && inForm(focus),
      });
    };
    const input = parseInput(experimentBody, bodyOf(fields, stored?.experiment ?? null));
    const idErrors = stored === null && fields.id !== "" ? errorsOfId(fields.id) : [];
    if (!input.ok) return again(rejected([...idErrors, ...input.failure.errors]));
    if (idErrors.length > 0) return again(rejected(idErrors));

    // A save to an environment out of scope is refused below.
    if (action === "preview" && isInScope(visitor.caller, { environmentKey: input.value.environment_key })) {
      const shownInput = experimentInput(fields.id, input.value);
      return again({ preview: await previewOf(deps.warehouse, shownInput, clock), focus: "preview" });
    }
    const author = { caller: visitor.caller, log: c.var.log };
    const save = (id: string, options: SaveOptions) => saveExperiment(deps, author, id, input.value, options);
    if (stored === null) {
      const ids = fields.id === "" ? proposeIds(fields.feature_name) : [fields.id];
      return saved(c, await saveFirst(ids, (id) => save(id, { createOnly: true })), again);
    }
    const { id } = stored.experiment;
    const costs = costsOf(stored, experimentInput(id, input.value), openedAt, now);
    const agreed = form.value.get("agreed")?.split(" ") ?? [];
    if (costs.some((cost) => !agreed.includes(cost.id))) return again({ costs, status: 409 });
    return saved(c, await save(id, { replaceNumbers: agreed.includes(FINAL_NUMBERS_COST.id) }), again);
  }

  /** Changes a time of an experiment as the button on its page does. */
  function withTime(change: (experiment: Experiment, now: number) => Partial<Body> | string): Handler {
    return ofExperiment(async (c, visitor, summary) => {
      const { experiment } = summary;
      const fields = fieldsOf(experiment);
      const again = (shown: Shown) => show(c, visitor, summary, fields, shown);
      const changed = change(experiment, clock());
      if (typeof changed === "string") return again({ notice: changed, status: 409 });
      const input = parseInput(experimentBody, { ...bodyOf(fields, experiment), ...changed });
      if (!input.ok) return again(rejected(input.failure.errors));
      const author = { caller: visitor.caller, log: c.var.log };
      return saved(c, await saveExperiment(deps, author, experiment.id, input.value), again);
    });
  }

  async function show(
    c: Context<AppEnv>,
    visitor: Visitor,
    stored: StoredSummary | null,
    fields: ExperimentFields,
    { status = 200, ...shown }: Shown = {},
  ): Promise<Response> {
    const scope = visitor.caller.environmentKey;
    const environment = scope ?? fields.environment_key;
    const [environments, found, events] = await Promise.all([
      listEnvironments(database, scope),
      waitFor(discovery.features(scope), WAIT_MS),
      environment === "" ? null : waitFor(discovery.events(environment), WAIT_MS),
    ]);
    const features = found?.ok ? found.value.features : [];
    const main = experimentForm({
      errors: [],
      focus: null,
      notice: null,
      costs: [],
      preview: null,
      remark: null,
      openedAt: stored?.experiment.updatedAt ?? 0,
      ...shown,
      fields: scope === null || stored !== null ? fields : { ...fields, environment_key: scope },
      stored: stored && { experiment: stored.experiment, hasNumbers: stored.asOf !== null },
      isDraft: stored === null || statusAt(stored.experiment, clock()) === "draft",
      scope,
      suggested: {
        environments: uniqueOf([...environments, ...features.map(({ environmentKey }) => environmentKey)]),
        features: uniqueOf(features.map(({ featureName }) => featureName)),
        events: events?.ok ? events.value.events : [],
      },
    });
    const title = stored === null ? "New experiment" : `Edit ${safeText(stored.experiment.name)}`;
    return htmlResponse(c, { title, ...frameOf(visitor) }, main, { status });
  }

  return {
    showNew: forWriters(async (c, visitor) => {
      const { environment_key = visitor.caller.environmentKey ?? "", feature_name = "" } = c.req.query();
      const fields = { ...newExperiment, environment_key, feature_name };
      const found =
        feature_name === "" ? null : await waitFor(discovery.features(visitor.caller.environmentKey), WAIT_MS);
      const feature = (found?.ok ? found.value.features : []).find(
        (each) => each.featureName === feature_name && each.environmentKey === environment_key,
      );
      if (feature === undefined) return show(c, visitor, null, fields);
      return show(c, visitor, null, fieldsFound(feature), { remark: FOUND });
    }),
    create: forWriters((c, visitor) => submit(c, visitor, null)),
    showEdit: ofExperiment((c, visitor, summary) => show(c, visitor, summary, fieldsOf(summary.experiment))),
    edit: ofExperiment(submit),
    start: withTime((experiment, now) =>
      statusAt(experiment, now) === "draft"
        ? { started_at: isoTime(now) }
        : "The experiment has started already. To count from another time, change its start here.",
    ),
    end: withTime((experiment, now) =>
      statusAt(experiment, now) === "running"
        ? { ended_at: isoTime(now) }
        : "The experiment is not running. To plan or change its end, enter it here.",
    ),
    remove: ofExperiment(async (c, visitor, { experiment }) => {
      const removed = await removeExperiment(deps, { caller: visitor.caller, log: c.var.log }, experiment.id);
      if (!removed.ok) return experimentNotFound(c, frameOf(visitor));
      rememberWrite(c);
      return c.redirect("/", 303);
    }),
  };
}

/** Names for a datalist, which is a convenience and must not make a page large. */
const uniqueOf = (names: readonly string[]) => [...new Set(names)].slice(0, 50);

const frameOf = ({ signedIn }: Visitor) => ({ signedIn });

/** True if the fields are above the limit of the API as JSON. What is stored may stay, however a client wrote it. */
function isTooLarge(typed: ExperimentFields, stored: Experiment | null): boolean {
  const bytesOf = (fields: ExperimentFields) => new TextEncoder().encode(JSON.stringify(bodyOf(fields, stored))).length;
  const bytes = bytesOf(typed);
  return bytes > EXPERIMENT_LIMIT && (stored === null || bytes > bytesOf(fieldsOf(stored)));
}

/** Saves under the first id that is free. */
async function saveFirst(
  ids: readonly string[],
  save: (id: string) => Promise<Result<SavedExperiment, Refusal>>,
): Promise<Result<SavedExperiment, Refusal>> {
  const [id = "", ...others] = ids;
  const outcome = await save(id);
  const isTaken = !outcome.ok && outcome.failure.kind === "invalid_input";
  return isTaken && others.length > 0 ? saveFirst(others, save) : outcome;
}

/** The field to continue at after a row was added or removed. */
function changedRow(fields: ExperimentFields, form: URLSearchParams): string {
  switch (form.get("add")) {
    case "variants":
      return `variants.${fields.variants.length - 1}.key`;
    case "metrics":
      return `metrics.${fields.metrics.length - 1}.event`;
    default:
      return form.get("remove")?.split(".")[0] ?? "";
  }
}
