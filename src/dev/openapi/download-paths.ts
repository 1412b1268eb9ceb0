import type { JsonObject } from "../../http/openapi.ts";
import { CAUSES_HEADER } from "../../panel/causes-csv.ts";
import { chartQuery, resultsChartQuery } from "../../panel/chart-query.ts";
import { RESULTS_HEADER } from "../../panel/results-csv.ts";
import { experimentIdInPath, queryParameters, read, withProblems } from "./parts.ts";

type Download = {
  operationId: string;
  /** The content, in words. */
  subject: string;
  type: "image/svg+xml" | "text/csv";
  description: string;
  parameters?: JsonObject[];
};

function download({ operationId, subject, type, description, parameters }: Download): JsonObject {
  const responses = {
    200: { description, content: { [type]: { schema: { type: "string" } } } },
    304: { description: "Unchanged" },
  };
  return {
    parameters: [experimentIdInPath],
    get: {
      operationId,
      summary: `Returns an experiment's ${subject}. A share link from the panel works too`,
      security: read,
      ...(parameters === undefined ? {} : { parameters }),
      responses: withProblems(responses, ...(parameters === undefined ? [] : [400]), 401, 404, 503),
    },
  };
}

/** The downloads of an experiment, for the OpenAPI document. */
export const downloadPaths: JsonObject = {
  "/v1/experiments/{id}/exposures.svg": download({
    operationId: "getExposuresChart",
    subject: "exposures as a chart",
    type: "image/svg+xml",
    description: "A self-contained SVG image",
    parameters: queryParameters(chartQuery),
  }),
  "/v1/experiments/{id}/exposures.csv": download({
    operationId: "getExposuresTable",
    subject: "exposures as a table",
    type: "text/csv",
    description:
      "One row per bucket and variant, with the columns bucket, variant, new_identities, cumulative_identities",
  }),
  "/v1/experiments/{id}/causes.csv": download({
    operationId: "getCausesTable",
    subject: "causes of failing checks as a table",
    type: "text/csv",
    description: `One row per cause and variant, with the columns ${CAUSES_HEADER.join(", ")}`,
  }),
  "/v1/experiments/{id}/results.svg": download({
    operationId: "getResultsChart",
    subject: "results as a chart",
    type: "image/svg+xml",
    description: "A self-contained SVG image, as tall as its content",
    parameters: queryParameters(resultsChartQuery),
  }),
  "/v1/experiments/{id}/results.csv": download({
    operationId: "getResultsTable",
    subject: "results as a table",
    type: "text/csv",
    description: `One row per metric and variant, with the columns ${RESULTS_HEADER.join(", ")}`,
  }),
};
