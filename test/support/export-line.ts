/** A line of an export: an experiment without numbers, named like its feature. */
export function exportLine(id: string, startedAt: string): string {
  return JSON.stringify({
    id,
    name: id,
    environment_key: "env",
    feature_name: id,
    variants: [],
    started_at: startedAt,
    ended_at: null,
    created_at: startedAt,
    updated_at: startedAt,
    as_of: null,
    computed_at: null,
    is_final: false,
    exposures: null,
  });
}
