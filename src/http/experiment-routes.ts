import { Hono } from "hono";
import { getExperiment, listExperiments } from "../store/experiments.ts";
import type { Authentication } from "./authentication.ts";
import { parseInput, readBody } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { EXPERIMENT_LIMIT, removeExperiment, saveExperiment } from "./experiment-edits.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { experimentJson, pageOf } from "./responses.ts";
import { editQuery, experimentBody, listQuery } from "./schemas.ts";

export function experimentRoutes(deps: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const { database, clock } = deps;
  const app = new Hono<AppEnv>();
  const read = authentication.require("read");
  const write = authentication.require("write");

  app.put("/:id", write, async (c) => {
    const body = await readBody(c, EXPERIMENT_LIMIT, experimentBody);
    if (!body.ok) return refuse(body.failure);
    const query = parseInput(editQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const replaceNumbers = query.value.replace_numbers;
    const saved = await saveExperiment(deps, c.var, c.req.param("id"), body.value, { replaceNumbers });
    if (!saved.ok) return refuse(saved.failure);
    return c.json(experimentJson(saved.value.experiment, clock()), saved.value.created ? 201 : 200);
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
    const removed = await removeExperiment(deps, c.var, c.req.param("id"));
    return removed.ok ? c.body(null, 204) : refuse(removed.failure);
  });

  return app;
}
