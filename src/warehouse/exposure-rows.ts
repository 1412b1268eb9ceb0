import { bucketsOf, type Window } from "../exposures/buckets.ts";
import { isCount } from "../exposures/json.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { WarehouseFailure } from "./failure.ts";

type Row = {
  kind: "identities" | "multiple" | "variant" | "latest" | "invalid" | "valid";
  /** The name of a variant. */
  name: string;
  variant_hash: string;
  /** The start of a bucket, or the latest exposure, in epoch milliseconds. */
  at: number;
  identities: number;
  late: number;
  events: number;
};
const kinds: readonly unknown[] = [
  "identities",
  "multiple",
  "variant",
  "latest",
  "invalid",
  "valid",
] satisfies Row["kind"][];

/** Reads the rows of the exposures query. Returns `collision` if one hash has two names. */
export function readCounts(
  rows: readonly unknown[],
  window: Window,
): Result<CountedExposures, WarehouseFailure> | "collision" {
  const checked: Row[] = [];
  const names = new Map<string, string>();
  for (const row of rows) {
    if (!isRow(row)) return failed({ kind: "bad_rows" });
    checked.push(row);
    if (row.kind !== "variant") continue;
    if (names.has(row.variant_hash)) return "collision";
    names.set(row.variant_hash, row.name);
  }

  const buckets = bucketsOf(window);
  const end = buckets.first + buckets.count * buckets.size;
  const counted: CountedExposures = {
    counts: [],
    collection: { latestExposureAt: null, lateIdentities: 0, invalidEvents: 0, events: 0 },
  };
  const { counts, collection } = counted;
  for (const { kind, variant_hash, at, identities, late, events } of checked) {
    if (kind === "variant") continue;
    collection.events += events;
    if (kind === "identities" || kind === "multiple") collection.lateIdentities += late;
    if (kind === "invalid") collection.invalidEvents += events;
    else if (kind === "multiple") counts.push({ multiple: true, identities });
    else if (kind === "latest") {
      if (at < window.from || at >= window.to) return failed({ kind: "bad_rows" });
      collection.latestExposureAt = at;
    } else if (kind === "identities") {
      const variant = names.get(variant_hash);
      const inWindow = at >= buckets.first && at < end && (at - buckets.first) % buckets.size === 0;
      if (!inWindow || variant === undefined) return failed({ kind: "bad_rows" });
      counts.push({ multiple: false, variant, bucket: at, identities });
    }
  }
  return ok(counted);
}

function isRow(row: unknown): row is Row {
  return (
    typeof row === "object" &&
    row !== null &&
    "kind" in row &&
    kinds.includes(row.kind) &&
    "name" in row &&
    typeof row.name === "string" &&
    "variant_hash" in row &&
    typeof row.variant_hash === "string" &&
    "at" in row &&
    Number.isSafeInteger(row.at) &&
    "identities" in row &&
    isCount(row.identities) &&
    (row.identities > 0 || (row.kind !== "identities" && row.kind !== "multiple")) &&
    "late" in row &&
    isCount(row.late) &&
    row.late <= row.identities &&
    "events" in row &&
    isCount(row.events)
  );
}
