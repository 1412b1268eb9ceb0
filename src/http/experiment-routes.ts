import { Hono } from "hono";
import { wakeDispatcher } from "../refresh/request-refresh.ts";
import {
  deleteExperiment,
  getExperiment,
  listExperiments,
  type PutFailure,
  putExperiment,
  timeFields,
} from "../store/experiments.ts";
import type { Authentication } from "./authentication.ts";
import { KIB, parseInput, readBody } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { type Refusal, refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { experimentJson, pageOf } from "./responses.ts";
import { editQuery, experimentBody, experimentId, experimentInput, listQuery } from "./schemas.ts";

export function experimentRoutes(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const { database, clock } = deps;
  const app = new Hono<AppEnv>();
  const read = authentication.require("read");
  const write = authentication.require("write");

  app.put("/:id", write, async (c) => {
    const body = await readBody(c, 64 * KIB, experimentBody);
    if (!body.ok) return refuse(body.failure);
    const id = experimentId.safeParse(c.req.param("id"));
    if (!id.success) {
      const errors = id.error.issues.map(({ message }) => ({ path: "id", message }));
      return refuse({ kind: "invalid_input", errors });
    }

    const query = parseInput(editQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);

    const input = experimentInput(id.data, body.value);
    const omitted = timeFields.filter((field) => body.value[field] === undefined);
    const options = { omitted, replaceNumbers: query.value.replace_numbers };
    const now = clock();
    const { caller, log } = c.var;
    const saved = await putExperiment(database, input, caller.environmentKey, now, options);
    if (!saved.ok) return refuse(putRefusal(saved.failure));
    const { experiment, created, refreshRequested } = saved.value;
    log("info", "experiment.saved", { experiment_id: experiment.id, created, by: caller.name });
    if (refreshRequested) await wakeDispatcher(deps.dispatcher, log, experiment.id);
    return c.json(experimentJson(experiment, now), created ? 201 : 200);
  });

  app.get("/", read, async (c) => {
    const query = parseInput(listQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const { environment_key, status, limit, cursor } = query.value;
    const now = clock();
    const filter = {
      scope: c.var.caller.environmentKey,
      environmentKey: environment_key ?? null,
      status: status ?? null,
      after: cursor ?? null,
      limit: limit + 1,
    };
    const { shown, next_cursor } = pageOf(await listExperiments(database, filter, now), limit);
    return c.json({ experiments: shown.map((experiment) => experimentJson(experiment, now)), next_cursor });
  });

  app.get("/:id", read, async (c) => {
    const experiment = await getExperiment(database, c.req.param("id"), c.var.caller.environmentKey);
    return experiment === null ? refuse({ kind: "not_found" }) : c.json(experimentJson(experiment, clock()));
  });

  app.delete("/:id", write, async (c) => {
    const id = c.req.param("id");
    const { caller, log } = c.var;
    if (!(await deleteExperiment(database, id, caller.environmentKey))) return refuse({ kind: "not_found" });
    log("info", "experiment.deleted", { experiment_id: id, by: caller.name });
    return c.body(null, 204);
  });

  return app;
}

function putRefusal(failure: PutFailure): Refusal {
  switch (failure.kind) {
    case "forbidden": {
      const detail = "This key is bound to another environment. Use a key for this environment, or for all of them.";
      return { kind: "forbidden", detail };
    }
    case "times_missing": {
      const message = "must be sent, because the experiment has one: send it to keep it, or null to clear it";
      return { kind: "invalid_input", errors: failure.fields.map((path) => ({ path, message })) };
    }
    default:
      return { kind: failure.kind };
  }
}
