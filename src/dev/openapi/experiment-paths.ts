import type { JsonObject } from "../../http/openapi.ts";
import { editQuery, listQuery } from "../../http/schemas.ts";
import {
  experimentIdInPath,
  json,
  list,
  object,
  queryParameters,
  read,
  reference,
  time,
  withProblems,
  write,
} from "./parts.ts";

type StoredAnswer = { operationId: string; summary: string; description: string; schema: string };

/** The GET of what a refresh has stored, with an ETag. */
function storedAnswer({ operationId, summary, description, schema }: StoredAnswer): JsonObject {
  const headers = { ETag: { schema: { type: "string" } }, "Server-Timing": { schema: { type: "string" } } };
  const responses = {
    200: { description, headers, content: json(reference(schema)) },
    304: { description: "Unchanged" },
  };
  return {
    parameters: [experimentIdInPath],
    get: {
      operationId,
      summary,
      security: read,
      parameters: [{ name: "If-None-Match", in: "header", schema: { type: "string" } }],
      responses: withProblems(responses, 401, 404, 503),
    },
  };
}

/** Experiments, their exposures and their results. */
export const experimentPaths: JsonObject = {
  "/v1/experiments": {
    get: {
      operationId: "listExperiments",
      summary: "Lists experiments, ordered by id",
      security: read,
      parameters: queryParameters(listQuery),
      responses: withProblems(
        {
          200: {
            description: "A page of experiments",
            content: json(
              object({ experiments: list(reference("Experiment")), next_cursor: { type: ["string", "null"] } }),
            ),
          },
        },
        400,
        401,
        503,
      ),
    },
  },
  "/v1/experiments/{id}": {
    parameters: [experimentIdInPath],
    get: {
      operationId: "getExperiment",
      summary: "Returns an experiment",
      security: read,
      responses: withProblems(
        { 200: { description: "The experiment", content: json(reference("Experiment")) } },
        401,
        404,
        503,
      ),
    },
    put: {
      operationId: "putExperiment",
      summary: "Creates or replaces an experiment; a started one is refreshed at once",
      description:
        "An edit that would replace final numbers needs replace_numbers=true. An edit must include started_at and ended_at if the experiment has them; null clears them.",
      security: write,
      parameters: queryParameters(editQuery),
      requestBody: { required: true, content: json(reference("ExperimentInput")) },
      responses: withProblems(
        {
          200: { description: "Replaced", content: json(reference("Experiment")) },
          201: { description: "Created", content: json(reference("Experiment")) },
        },
        400,
        401,
        403,
        409,
        413,
        415,
        503,
      ),
    },
    delete: {
      operationId: "deleteExperiment",
      summary: "Deletes an experiment and its numbers",
      security: write,
      responses: withProblems({ 204: { description: "Deleted" } }, 401, 403, 404, 409, 503),
    },
  },
  "/v1/experiments/{id}/exposures": storedAnswer({
    operationId: "getExposures",
    summary: "Returns an experiment's exposures",
    description: "The summary, as of its last successful refresh",
    schema: "Exposures",
  }),
  "/v1/experiments/{id}/results": storedAnswer({
    operationId: "getResults",
    summary: "Returns the results of an experiment's metrics",
    description: "The results, as of the last refresh that computed them",
    schema: "Results",
  }),
};

export const refreshPaths: JsonObject = {
  "/v1/experiments/{id}/exposures/refresh": {
    parameters: [experimentIdInPath],
    post: {
      operationId: "requestRefresh",
      summary: "Requests a refresh",
      security: write,
      responses: withProblems(
        {
          202: {
            description: "The refresh will happen",
            content: json(object({ experiment_id: { type: "string" }, refresh_requested_at: time })),
          },
        },
        401,
        403,
        404,
        409,
        429,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/exposures/recount": {
    parameters: [experimentIdInPath],
    post: {
      operationId: "requestRecount",
      summary: "Requests a recount of final numbers",
      description:
        "The numbers stay until the recount succeeds. A recount that finds fewer identities does not replace them.",
      security: write,
      responses: withProblems(
        {
          202: {
            description: "The recount will happen",
            content: json(object({ experiment_id: { type: "string" }, refresh_requested_at: time })),
          },
        },
        401,
        403,
        404,
        409,
        429,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/exposures/rebuild": {
    parameters: [experimentIdInPath],
    post: {
      operationId: "requestRebuild",
      summary: "Requests a refresh that drops the experiment's states, and rebuilds them from the events",
      description:
        "Requires EXPOSURE_SOURCE=states. Until the states are rebuilt, refreshes count the events themselves. It counts as a manual refresh.",
      security: write,
      responses: withProblems(
        {
          202: {
            description: "The states will be dropped and rebuilt",
            content: json(object({ experiment_id: { type: "string" }, rebuild_requested_at: time })),
          },
        },
        401,
        403,
        404,
        409,
        429,
        503,
      ),
    },
  },
};
