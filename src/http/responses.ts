import { type Experiment, statusAt } from "../experiment.ts";
import { metricJson } from "../results/metric-json.ts";
import type { ApiKey } from "../store/api-keys.ts";
import type { Backup } from "../store/backups.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { EXPORT_FORMAT } from "./schemas.ts";

// The bodies of responses, from the types of the store.

/** Formats epoch milliseconds as ISO 8601 in UTC. */
export function isoTime(time: number): string {
  return new Date(time).toISOString();
}

export function isoTimeOrNull(time: number | null): string | null {
  return time === null ? null : isoTime(time);
}

/** A page of at most `limit` rows, and the cursor of the next page. More rows than `limit` mean that there is one. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[], limit: number) {
  const shown = rows.slice(0, limit);
  return { shown, next_cursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
}

export function experimentJson(experiment: Experiment, now: number) {
  return {
    id: experiment.id,
    name: experiment.name,
    environment_key: experiment.environmentKey,
    feature_name: experiment.featureName,
    variants: experiment.variants,
    metrics: experiment.metrics.map(metricJson),
    started_at: isoTimeOrNull(experiment.startedAt),
    ended_at: isoTimeOrNull(experiment.endedAt),
    weights_changed_at: isoTimeOrNull(experiment.weightsChangedAt),
    status: statusAt(experiment, now),
    created_at: isoTime(experiment.createdAt),
    updated_at: isoTime(experiment.updatedAt),
  };
}

export function apiKeyJson({ id, name, environmentKey, role, createdAt, expiresAt }: ApiKey) {
  return {
    id,
    name,
    environment_key: environmentKey,
    role,
    created_at: isoTime(createdAt),
    expires_at: isoTimeOrNull(expiresAt),
  };
}

/** The body of an exposures response. The stored payload is inserted as text, neither parsed nor serialised again. */
export function exposuresJson(summary: StoredSummary, now: number): string {
  const head = JSON.stringify({
    experiment_id: summary.experiment.id,
    status: statusAt(summary.experiment, now),
    as_of: isoTimeOrNull(summary.asOf),
    computed_at: isoTimeOrNull(summary.computedAt),
    last_error_at: isoTimeOrNull(summary.lastErrorAt),
    refresh_requested_at: isoTimeOrNull(summary.refreshRequestedAt),
    is_final: summary.isFinal,
  });
  return `${head.slice(0, -1)},"exposures":${summary.exposures ?? "null"}}`;
}

/** One line of an export: an experiment with its stored numbers. */
export function exportLine({ experiment, exposures, results, ...summary }: Backup): string {
  const { status: _, ...definition } = experimentJson(experiment, 0);
  const head = JSON.stringify({
    format: EXPORT_FORMAT,
    ...definition,
    as_of: isoTimeOrNull(summary.asOf),
    computed_at: isoTimeOrNull(summary.computedAt),
    last_error_at: isoTimeOrNull(summary.lastErrorAt),
    is_final: summary.isFinal,
    results: results && {
      as_of: isoTimeOrNull(results.asOf),
      computed_at: isoTimeOrNull(results.computedAt),
      last_error_at: isoTimeOrNull(results.lastErrorAt),
      counted: JSON.parse(results.counted ?? "[]"),
    },
  });
  return `${head.slice(0, -1)},"exposures":${exposures ?? "null"}}\n`;
}
