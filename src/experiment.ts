export type Variant = {
  key: string;
  /** Relative to the other variants' weights, 0 or more. */
  weight: number;
};

/** What decides an experiment's numbers. A result is true of the definition it was computed for, and of no other. */
export type Definition = {
  environmentKey: string;
  featureName: string;
  variants: readonly Variant[];
  /** Epoch milliseconds; null until it is planned. */
  startedAt: number | null;
  /** Epoch milliseconds, after startedAt; null while the end is open. */
  endedAt: number | null;
};

export type Experiment = Definition & {
  id: string;
  name: string;
  createdAt: number;
  updatedAt: number;
};

export type Status = "draft" | "running" | "completed";
export const statuses = ["draft", "running", "completed"] as const satisfies readonly Status[];

/** Where an experiment stands at `now`: it starts at startedAt and is over at endedAt. */
export function statusAt({ startedAt, endedAt }: Pick<Definition, "startedAt" | "endedAt">, now: number): Status {
  if (startedAt === null || startedAt > now) return "draft";
  return endedAt !== null && endedAt <= now ? "completed" : "running";
}

/** What its numbers depend on, of an experiment that has a start. */
export type StartedExperiment = {
  experimentId: string;
  environmentKey: string;
  featureName: string;
  startedAt: number;
};
