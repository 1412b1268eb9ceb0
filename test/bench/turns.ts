/** A figure of the table: ours against a reference that did the same in the same run. */
export type Figure = {
  what: string;
  against: string;
  unit: "ms" | "MiB" | "KiB" | "requests/s" | "rows/s" | "bytes" | "at once" | "queries";
  /** Medians over the turns. */
  ours: number;
  reference: number;
  /** Of ours to the reference: the median over the turns, and its range. */
  ratio: number;
  range: [number, number];
  turns: number;
  goal: Goal | null;
};

export type Goal = { at: "most" | "least"; ratio: number };

/** What is to be compared: a name, and one measurement each time it is called. */
export type Candidate = { name: string; measure: () => Promise<number> };

/**
 * Measures both in turns, so that a busy neighbour hits both, and compares turn by turn. Who goes first changes each
 * turn; a turn before the first warms up and is not counted.
 */
export async function compare(
  ours: Candidate,
  reference: Candidate,
  turns: number,
  { unit, goal }: Pick<Figure, "unit" | "goal">,
): Promise<Figure> {
  const pairs: { ours: number; reference: number }[] = [];
  for (let turn = 0; turn <= turns; turn += 1) {
    const pair = { ours: 0, reference: 0 };
    const oursFirst = turn % 2 === 0;
    if (oursFirst) pair.ours = await ours.measure();
    pair.reference = await reference.measure();
    if (!oursFirst) pair.ours = await ours.measure();
    if (turn > 0) pairs.push(pair);
  }
  const ratios = pairs.map((pair) => pair.ours / pair.reference);
  return {
    what: ours.name,
    against: reference.name,
    unit,
    ours: median(pairs.map((pair) => pair.ours)),
    reference: median(pairs.map((pair) => pair.reference)),
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
    turns,
    goal,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

/** Milliseconds that it took. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}
