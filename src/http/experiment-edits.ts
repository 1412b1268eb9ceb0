import type * as z from "zod/mini";
import { wakeDispatcher } from "../refresh/request-refresh.ts";
import { failed, ok, type Result } from "../result.ts";
import {
  deleteExperiment,
  type PutFailure,
  putExperiment,
  type SavedExperiment,
  timeFields,
} from "../store/experiments.ts";
import { KIB } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import type { InputError, Refusal } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { type experimentBody, experimentId, experimentInput } from "./schemas.ts";

// The changes to experiments that both the API and the forms of the panel make.

/** The max length of a definition as JSON, in bytes. */
export const EXPERIMENT_LIMIT = 64 * KIB;

type Editing = Pick<AppDeps, "database" | "dispatcher" | "clock">;
/** The caller, and the log of its request. */
type Author = Pick<AppEnv["Variables"], "caller" | "log">;

export type SaveOptions = {
  replaceNumbers?: boolean;
  /** Refuses an id that exists. */
  createOnly?: boolean;
};

/** Saves an experiment, and requests a refresh if it has started. */
export async function saveExperiment(
  { database, dispatcher, clock }: Editing,
  { caller, log }: Author,
  id: string,
  body: z.output<typeof experimentBody>,
  { replaceNumbers = false, createOnly = false }: SaveOptions = {},
): Promise<Result<SavedExperiment, Refusal>> {
  const idErrors = errorsOfId(id);
  if (idErrors.length > 0) return failed({ kind: "invalid_input", errors: idErrors });
  const omitted = timeFields.filter((field) => body[field] === undefined);
  const options = { omitted, replaceNumbers, createOnly };
  const saved = await putExperiment(database, experimentInput(id, body), caller.environmentKey, clock(), options);
  if (!saved.ok) return failed(refusalOf(saved.failure));
  const { created, refreshRequested } = saved.value;
  log("info", "experiment.saved", { experiment_id: id, created, by: caller.name });
  if (refreshRequested) await wakeDispatcher(dispatcher, log, id);
  return saved;
}

export function errorsOfId(id: string): InputError[] {
  const parsed = experimentId.safeParse(id);
  return parsed.success ? [] : parsed.error.issues.map(({ message }) => ({ path: "id", message }));
}

export async function removeExperiment(
  { database }: Pick<Editing, "database">,
  { caller, log }: Author,
  id: string,
): Promise<Result<null, Refusal>> {
  const deleted = await deleteExperiment(database, id, caller.environmentKey);
  if (!deleted.ok) return deleted;
  log("info", "experiment.deleted", { experiment_id: id, by: caller.name });
  return ok(null);
}

function refusalOf(failure: PutFailure): Refusal {
  switch (failure.kind) {
    case "forbidden": {
      const detail = "This key is bound to another environment. Use a key for this environment, or for all of them.";
      return { kind: "forbidden", detail };
    }
    case "times_missing": {
      const message = "must be sent, because the experiment has one: send it to keep it, or null to clear it";
      return { kind: "invalid_input", errors: failure.fields.map((path) => ({ path, message })) };
    }
    case "id_taken":
      return { kind: "invalid_input", errors: [{ path: "id", message: "is taken: choose another one" }] };
    default:
      return { kind: failure.kind };
  }
}
