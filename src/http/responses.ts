import { type Experiment, statusAt } from "../experiment.ts";
import type { ApiKey } from "../store/api-keys.ts";
import type { Backup } from "../store/backups.ts";
import type { StoredSummary } from "../store/summaries.ts";

/** Epoch milliseconds as JSON has them. */
export function isoTime(time: number): string {
  return new Date(time).toISOString();
}

function isoTimeOrNull(time: number | null): string | null {
  return time === null ? null : isoTime(time);
}

/** A page of `limit` rows, of which one more was asked for: to see whether it is the last. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[], limit: number) {
  const shown = rows.slice(0, limit);
  return { shown, next_cursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
}

export function experimentAnswer(experiment: Experiment, now: number) {
  return {
    id: experiment.id,
    name: experiment.name,
    environment_key: experiment.environmentKey,
    feature_name: experiment.featureName,
    variants: experiment.variants,
    started_at: isoTimeOrNull(experiment.startedAt),
    ended_at: isoTimeOrNull(experiment.endedAt),
    status: statusAt(experiment, now),
    created_at: isoTime(experiment.createdAt),
    updated_at: isoTime(experiment.updatedAt),
  };
}

/** A line of an export: an experiment, and with it its numbers as they are stored. */
export function exportLine({ experiment, exposures, ...summary }: Backup): string {
  const { status: _, ...definition } = experimentAnswer(experiment, 0);
  const head = JSON.stringify({
    ...definition,
    as_of: isoTimeOrNull(summary.asOf),
    computed_at: isoTimeOrNull(summary.computedAt),
    last_error_at: isoTimeOrNull(summary.lastErrorAt),
    is_final: summary.isFinal,
  });
  return `${head.slice(0, -1)},"exposures":${exposures ?? "null"}}\n`;
}

export function apiKeyAnswer({ id, name, environmentKey, role, createdAt, expiresAt }: ApiKey) {
  return {
    id,
    name,
    environment_key: environmentKey,
    role,
    created_at: isoTime(createdAt),
    expires_at: isoTimeOrNull(expiresAt),
  };
}

/** The exposures answer: a few fields, and the stored payload as it is, neither parsed nor written again. */
export function exposuresAnswer(experimentId: string, summary: StoredSummary, now: number): string {
  const head = JSON.stringify({
    experiment_id: experimentId,
    status: statusAt(summary, now),
    as_of: isoTimeOrNull(summary.asOf),
    computed_at: isoTimeOrNull(summary.computedAt),
    last_error_at: isoTimeOrNull(summary.lastErrorAt),
    refresh_requested_at: isoTimeOrNull(summary.refreshRequestedAt),
    is_final: summary.isFinal,
  });
  return `${head.slice(0, -1)},"exposures":${summary.exposures ?? "null"}}`;
}

/** Changes with whatever the answer shows: the row's version, and the status, which the clock alone can change. */
export function exposuresETag(summary: StoredSummary, now: number): string {
  return `"${summary.version}-${statusAt(summary, now)}"`;
}

/** Whether an `If-None-Match` header names the tag, by the weak comparison of RFC 9110, section 13.1.2. */
export function matchesETag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch === etag || ifNoneMatch.trim() === "*") return true;
  const tags = ifNoneMatch.matchAll(/(?:^|,)\s*(?:W\/)?("[^"]*")(?=\s*(?:,|$))/g);
  return tags.some(([, tag]) => tag === etag);
}
