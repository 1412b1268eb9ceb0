import { experimentIdInPath, type JsonObject, queryParameters, read, withProblems } from "../http/openapi-parts.ts";
import { chartQuery, resultsChartQuery } from "./chart-query.ts";
import { RESULTS_HEADER } from "./results-csv.ts";

/** The downloads of an experiment, for the OpenAPI document. */
export const downloadPaths: JsonObject = {
  "/v1/experiments/{id}/exposures.svg": {
    parameters: [experimentIdInPath],
    get: {
      operationId: "getExposuresChart",
      summary: "Returns an experiment's exposures as a chart. A share link from the panel works too",
      security: read,
      parameters: queryParameters(chartQuery),
      responses: withProblems(
        {
          200: {
            description: "A self-contained SVG image",
            content: { "image/svg+xml": { schema: { type: "string" } } },
          },
          304: { description: "Unchanged" },
        },
        400,
        401,
        404,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/exposures.csv": {
    parameters: [experimentIdInPath],
    get: {
      operationId: "getExposuresTable",
      summary: "Returns an experiment's exposures as a table. A share link from the panel works too",
      security: read,
      responses: withProblems(
        {
          200: {
            description:
              "One row per bucket and variant, with the columns bucket, variant, new_identities, cumulative_identities",
            content: { "text/csv": { schema: { type: "string" } } },
          },
          304: { description: "Unchanged" },
        },
        401,
        404,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/results.svg": {
    parameters: [experimentIdInPath],
    get: {
      operationId: "getResultsChart",
      summary: "Returns an experiment's results as a picture. A share link from the panel works too",
      security: read,
      parameters: queryParameters(resultsChartQuery),
      responses: withProblems(
        {
          200: {
            description: "A self-contained SVG image, as tall as its content",
            content: { "image/svg+xml": { schema: { type: "string" } } },
          },
          304: { description: "Unchanged" },
        },
        400,
        401,
        404,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/results.csv": {
    parameters: [experimentIdInPath],
    get: {
      operationId: "getResultsTable",
      summary: "Returns an experiment's results as a table. A share link from the panel works too",
      security: read,
      responses: withProblems(
        {
          200: {
            description: `One row per metric and variant, with the columns ${RESULTS_HEADER.join(", ")}`,
            content: { "text/csv": { schema: { type: "string" } } },
          },
          304: { description: "Unchanged" },
        },
        401,
        404,
        503,
      ),
    },
  },
};
