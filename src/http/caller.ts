import type { Experiment } from "../experiment.ts";

/** Each right includes those before it. */
export type Right = "read" | "write" | "admin";
const RIGHTS: readonly Right[] = ["read", "write", "admin"];

/** An authenticated client or visitor. */
export type Caller = {
  /** The name of a token or the id of a key, for the log. */
  name: string;
  right: Right;
  /** The environment whose experiments the caller may see; null: all environments. */
  environmentKey: string | null;
};

/** The caller of every read request while PUBLIC_READ is set. */
export const ANYONE: Caller = { name: "anyone", right: "read", environmentKey: null };

/** Returns whether the caller may see the experiment. */
export function isInScope({ environmentKey }: Caller, experiment: Pick<Experiment, "environmentKey">): boolean {
  return environmentKey === null || environmentKey === experiment.environmentKey;
}

export function hasRight(caller: Caller, right: Right): boolean {
  return RIGHTS.indexOf(caller.right) >= RIGHTS.indexOf(right);
}
