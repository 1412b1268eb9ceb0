import { property } from "../exposures/json.ts";
import { restoreExposures } from "../exposures/restore.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Backup } from "../store/backups.ts";
import { parseInput } from "./body.ts";
import type { InputError } from "./problem.ts";
import { experimentInput, exportedExperiment } from "./schemas.ts";

/** The difference between two clocks that an import tolerates. */
const MAX_SKEW_MS = 5 * 60_000;
/** Each line takes one statement, and D1 limits the statements of a Worker invocation. */
const MAX_LINES = 500;
/** D1's limit for a row, which is shorter than its line. Results are a row of their own, and have their own limit. */
const MAX_LINE_BYTES = 2_000_000;
/** Bounds the recursion over parsed JSON. An export has nine levels. */
const MAX_LEVELS = 100;
/** Bounds the response, because one mistake can recur on every line. */
const MAX_ERRORS = 100;

/**
 * Parses an export. A path in an error starts with the line's number.
 * @param onError `refuse`: one invalid line fails the whole export; `skip`: invalid lines are left out
 */
export function parseBackups(
  text: string,
  onError: "refuse" | "skip",
  now: number,
): Result<{ backups: Backup[]; errors: InputError[] }, InputError[]> {
  const lines = text.split(/\r?\n/);
  if (lines.filter(Boolean).length > MAX_LINES)
    return failed([{ path: "", message: `must not exceed ${MAX_LINES} lines: split it, and send one part at a time` }]);
  const backups: Backup[] = [];
  const errors: InputError[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const backup = parseBackup(line, now);
    if (backup.ok) {
      backups.push(backup.value);
      continue;
    }
    // The first error names a skipped line.
    for (const { path, message } of onError === "skip" ? backup.failure.slice(0, 1) : backup.failure)
      errors.push({ path: [index + 1, path].filter((part) => part !== "").join("."), message });
  }
  return errors.length === 0 || onError === "skip" ? ok({ backups, errors }) : failed(errors.slice(0, MAX_ERRORS));
}

/** True if a parsed JSON value has more levels of lists and objects. */
function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeperThan(levels - 1, each));
}

const bytesOf = (text: string) => new TextEncoder().encode(text).byteLength;

function parseBackup(line: string, now: number): Result<Backup, InputError[]> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return failed([{ path: "", message: "must be one JSON object" }]);
  }
  if (isDeeperThan(MAX_LEVELS, value))
    return failed([{ path: "", message: `must not be nested deeper than ${MAX_LEVELS} levels` }]);
  if (bytesOf(line) - bytesOf(JSON.stringify(property(value, "results") ?? null)) > MAX_LINE_BYTES)
    return failed([{ path: "", message: "must not be longer than 2,000,000 bytes" }]);
  const parsed = parseInput(exportedExperiment, value);
  if (!parsed.ok) return failed(parsed.failure.errors);
  const {
    id,
    created_at: createdAt,
    updated_at: updatedAt,
    weights_changed_at: weightsChangedAt,
    ...rest
  } = parsed.value;
  const { as_of: asOf, computed_at: computedAt, is_final: isFinal, last_error_at: lastErrorAt } = rest;
  const experiment = { ...experimentInput(id, rest), source: rest.source, createdAt, updatedAt, weightsChangedAt };
  const { startedAt, variants } = experiment;
  const { results: exported } = rest;
  const results = exported && {
    asOf: exported.as_of,
    computedAt: exported.computed_at,
    lastErrorAt: exported.last_error_at,
    counted: exported.counted,
  };
  const backup = { experiment, asOf, computedAt, lastErrorAt, isFinal, results };
  const impossible = findImpossible(backup, now);
  if (impossible.length > 0) return failed(impossible);
  if (asOf === null && computedAt === null && rest.exposures === null)
    return ok({ ...backup, results: null, exposures: null });

  if (startedAt === null || asOf === null || computedAt === null || asOf < startedAt)
    return failed([{ path: "exposures", message: "needs computed_at, and an as_of not before started_at" }]);
  const configured = variants.map(({ key }) => key);
  const exposures = restoreExposures(rest.exposures, { from: startedAt, to: asOf }, configured);
  return exposures === null
    ? failed([{ path: "exposures", message: "must be unchanged from the export, and cover started_at to as_of" }])
    : ok({ ...backup, exposures });
}

/** Returns an error for each field that no refresh could have stored. */
function findImpossible(backup: Omit<Backup, "exposures">, now: number): InputError[] {
  const { experiment, asOf, computedAt, lastErrorAt, isFinal, results } = backup;
  const aheadIn = (prefix: string, times: Readonly<Record<string, number | null | undefined>>) =>
    Object.entries(times)
      .filter(([, time]) => (time ?? 0) > now + MAX_SKEW_MS)
      .map(([name]) => ({ path: prefix + name, message: "must not be in the future" }));
  const errors = [
    ...aheadIn("", { as_of: asOf, computed_at: computedAt, last_error_at: lastErrorAt }),
    ...aheadIn("results.", { as_of: results?.asOf, computed_at: results?.computedAt }),
  ];
  if (!isFinal || errors.length > 0) return errors;
  const { endedAt } = experiment;
  if (asOf === null || endedAt === null)
    return [{ path: "is_final", message: "must not be true without as_of and ended_at" }];
  // A refresh after the end that counts too few identities keeps an earlier count as the final one, as an error.
  if (Math.max(asOf, lastErrorAt ?? 0) >= endedAt) return [];
  return [{ path: "is_final", message: "must not be true unless as_of or last_error_at has reached ended_at" }];
}
