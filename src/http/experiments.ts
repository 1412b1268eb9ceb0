import { Hono } from "hono";
import { askFor } from "../refresh/ask.ts";
import { deleteExperiment, getExperiment, listExperiments, putExperiment } from "../store/experiments.ts";
import { experimentAnswer } from "./answers.ts";
import type { AppDeps } from "./app.ts";
import { requireRight } from "./auth.ts";
import { KIB, limitBody, parseBody, parseInput, readText } from "./body.ts";
import { refuse } from "./problem.ts";
import { experimentBody, experimentId, listQuery } from "./schemas.ts";

export function experimentRoutes(deps: AppDeps): Hono {
  const { database, settings, clock, log } = deps;
  const app = new Hono();
  const read = requireRight(settings, "read");
  const write = requireRight(settings, "write");

  app.put("/:id", write, limitBody(64 * KIB), async (c) => {
    const body = parseBody(c.req.header("Content-Type"), await readText(c), experimentBody);
    if (!body.ok) return refuse(body.failure);
    const id = experimentId.safeParse(c.req.param("id"));
    if (!id.success) {
      const errors = id.error.issues.map(({ message }) => ({ path: "id", message }));
      return refuse({ kind: "invalid_input", errors });
    }

    const { name, environment_key, feature_name, variants, started_at, ended_at } = body.value;
    const input = {
      id: id.data,
      name: name ?? id.data,
      environmentKey: environment_key,
      featureName: feature_name,
      variants,
      startedAt: started_at,
      endedAt: ended_at,
    };
    const now = clock();
    const saved = await putExperiment(database, input, now);
    if (!saved.ok) return refuse({ kind: "feature_taken" });
    const { experiment, created, refreshRequested } = saved.value;
    log("info", "experiment.saved", { experiment_id: experiment.id, created });
    if (refreshRequested) await askFor(deps, [experiment.id], "edit");
    return c.json(experimentAnswer(experiment, now), created ? 201 : 200);
  });

  app.get("/", read, async (c) => {
    const query = parseInput(listQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const { environment_key, status, limit, cursor } = query.value;
    const now = clock();
    const filter = { environmentKey: environment_key ?? null, status: status ?? null, after: cursor ?? null };
    const page = await listExperiments(database, { ...filter, limit: limit + 1 }, now);
    const shown = page.slice(0, limit);
    return c.json({
      experiments: shown.map((experiment) => experimentAnswer(experiment, now)),
      next_cursor: page.length > limit ? (shown.at(-1)?.id ?? null) : null,
    });
  });

  app.get("/:id", read, async (c) => {
    const experiment = await getExperiment(database, c.req.param("id"));
    return experiment === null ? refuse({ kind: "not_found" }) : c.json(experimentAnswer(experiment, clock()));
  });

  app.delete("/:id", write, async (c) => {
    const id = c.req.param("id");
    if (!(await deleteExperiment(database, id))) return refuse({ kind: "not_found" });
    log("info", "experiment.deleted", { experiment_id: id });
    return c.body(null, 204);
  });

  return app;
}
