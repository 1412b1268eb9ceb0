import type { Experiment } from "../experiment.ts";
import type { StoredSummary } from "../store/summaries.ts";
import type { FlagsmithView } from "./flagsmith-section.ts";
import type { ShownQuery } from "./query-details.ts";
import type { SeriesName } from "./series.ts";

/** Everything that an experiment's page shows. */
export type ExperimentView = {
  experiment: Experiment;
  summary: StoredSummary;
  series: SeriesName;
  now: number;
  /** The sync with Flagsmith; null: not shown. */
  flagsmith: FlagsmithView | null;
  /** The interval between sweeps. The age of the numbers is judged by it. */
  sweepMs: number;
  /** The visitor's rights on the page. */
  may: {
    write: boolean;
    /** The last day that a share link may have; null: the visitor may not share. */
    shareUntil: string | null;
  };
  /** The SQL behind the numbers and the values of its parameters; null: not shown. */
  query: ShownQuery | null;
  /** The SQL that lists the identities with a value of a dimension; null: not shown. */
  identitiesQuery: ((dimension: string, value: string) => ShownQuery) | null;
  /** The query string of a shared page, repeated in the links on it; null: the page is not shared. */
  shareQuery: URLSearchParams | null;
  /** A share link that has just been created. */
  link: string | null;
  /** The reason why a form was refused. */
  notice: string | null;
};
