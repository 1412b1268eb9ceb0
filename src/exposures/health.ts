import type { Variant } from "../experiment.ts";
import type { Window } from "./buckets.ts";
import type { Collection, Summary } from "./summary.ts";

export const checkStatuses = ["waiting", "healthy", "warning", "unhealthy"] as const;
export type CheckStatus = (typeof checkStatuses)[number];

/** The findings of a breakdown about a check, in the order of the response; null: there was none. */
const causeFigureNames = ["causes", "causes_detail", "began_at", "breakdown"] as const;
export const NO_CAUSES = { causes: null, causes_detail: null, began_at: null, breakdown: null } as const;

/** The figures behind each check, with the names and in the order of the response. */
export const figureNames = {
  sample_ratio: ["p_value", "sequential_p_value", "expected", "observed", "tested_from", ...causeFigureNames],
  multiple_variants: ["share", "excluded_identities", ...causeFigureNames],
  unknown_variants: ["variants"],
  exposures_arriving: ["latest_exposure_at"],
  late_events: ["share", "late_identities"],
  window: ["days", "events_ttl_days"],
  invalid_events: ["share", "invalid_events"],
} as const;
export type CheckName = keyof typeof figureNames;

/** A JSON value. A time is ISO 8601 text, and numbers by variant are a Map; null: there is no data to compute it from. */
export type Figure =
  | number
  | string
  | boolean
  | null
  | ReadonlyMap<string, number>
  | readonly Figure[]
  | { readonly [name: string]: Figure };

export type Finding<Name extends CheckName = CheckName> = {
  status: CheckStatus;
  /** The finding, its certainty, and the action, in one sentence. A second one may limit what the numbers say. */
  detail: string;
  figures: Readonly<Record<(typeof figureNames)[Name][number], Figure>>;
};

export type Check = {
  name: CheckName;
  status: CheckStatus;
  detail: string;
  figures: Readonly<Record<string, Figure>>;
};

/** The checks of an experiment's numbers, and the worst of their statuses. */
export type Health = { status: CheckStatus; checks: readonly Check[] };

/** Stored health. Another version may have had other checks, with other figures. */
export type StoredHealth = {
  status: CheckStatus;
  checks: readonly {
    name: string;
    status: CheckStatus;
    detail: string;
    /** JSON values, or a map from variants to numbers. */
    figures: Readonly<Record<string, unknown>>;
  }[];
};

/** The input of every check. */
export type Evidence = {
  window: Window;
  /** The time of the count, in epoch milliseconds. */
  countedAt: number;
  /** True if the experiment continues after the window. */
  isRunning: boolean;
  variants: readonly Variant[];
  /** The time at which the relative weights last changed, in epoch milliseconds; null: never. */
  weightsChangedAt: number | null;
  summary: Summary;
  collection: Collection;
  /** Days until the warehouse deletes an event; 0: never. */
  eventsTtlDays: number;
};

export const checkNames = [
  "sample_ratio",
  "multiple_variants",
  "unknown_variants",
  "exposures_arriving",
  "late_events",
  "window",
  "invalid_events",
] as const satisfies CheckName[];

/** The statuses from worst to best. */
export const SEVERITY: readonly CheckStatus[] = ["unhealthy", "warning", "waiting", "healthy"];

/** The worst status of several checks; healthy if there are none. */
export function worstStatus(found: readonly { status: CheckStatus }[]): CheckStatus {
  return SEVERITY.find((status) => found.some((check) => check.status === status)) ?? "healthy";
}
