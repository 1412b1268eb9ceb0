/** A row of the results: ours against a reference that did the same work in the same run. */
export type Figure = {
  what: string;
  against: string;
  unit: "ms" | "MiB" | "KiB" | "requests/s" | "rows/s" | "bytes" | "at once" | "queries" | "requests";
  /** The medians over the turns. */
  ours: number;
  reference: number;
  /** Ours divided by the reference: the median over the turns, and the range. */
  ratio: number;
  range: [number, number];
  turns: number;
  goal: Goal | null;
};

export type Goal = { bound: "max" | "min"; ratio: number };

/** A side of a comparison: its name, and a function that measures it once. */
export type Candidate<Sample = number> = { name: string; measure: () => Promise<Sample> };

/** One measurement of both sides. */
export type Turn<Sample> = { ours: Sample; reference: Sample };

/**
 * Measures both sides alternately, so that other load on the machine affects both. The order changes with each turn. A
 * warm-up turn is not counted.
 */
export async function alternate<Sample>(
  ours: Candidate<Sample>,
  reference: Candidate<Sample>,
  turns: number,
): Promise<Turn<Sample>[]> {
  const results: Turn<Sample>[] = [];
  for (let turn = 0; turn <= turns; turn += 1) {
    const first = turn % 2 === 0 ? await ours.measure() : await reference.measure();
    const second = turn % 2 === 0 ? await reference.measure() : await ours.measure();
    if (turn === 0) continue;
    results.push(turn % 2 === 0 ? { ours: first, reference: second } : { ours: second, reference: first });
  }
  return results;
}

/** Compares the two sides turn by turn. */
export function figureOf(
  { what, against, unit, goal }: Pick<Figure, "what" | "against" | "unit" | "goal">,
  turns: readonly Turn<number>[],
): Figure {
  const ratios = turns.map(({ ours, reference }) => ours / reference);
  return {
    what,
    against,
    unit,
    ours: median(turns.map(({ ours }) => ours)),
    reference: median(turns.map(({ reference }) => reference)),
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
    turns: turns.length,
    goal,
  };
}

/** Measures and compares two sides whose measurement is one number. */
export async function compare(
  ours: Candidate,
  reference: Candidate,
  turns: number,
  { unit, goal }: Pick<Figure, "unit" | "goal">,
): Promise<Figure> {
  return figureOf({ what: ours.name, against: reference.name, unit, goal }, await alternate(ours, reference, turns));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

/** Returns how long a function takes, in milliseconds. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
