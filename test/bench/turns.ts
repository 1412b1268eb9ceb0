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
export type Candidate<Sample = number> = { name: string; measure: () => Promise<Sample> };

/** One turn of both. */
export type Turn<Sample> = { ours: Sample; reference: Sample };

/**
 * Measures both in turns, so that a busy neighbour hits both. Who goes first changes each turn; a turn before the first
 * warms up and is not counted.
 */
export async function alternate<Sample>(
  ours: Candidate<Sample>,
  reference: Candidate<Sample>,
  turns: number,
): Promise<Turn<Sample>[]> {
  const taken: Turn<Sample>[] = [];
  for (let turn = 0; turn <= turns; turn += 1) {
    const first = turn % 2 === 0 ? await ours.measure() : await reference.measure();
    const second = turn % 2 === 0 ? await reference.measure() : await ours.measure();
    if (turn === 0) continue;
    taken.push(turn % 2 === 0 ? { ours: first, reference: second } : { ours: second, reference: first });
  }
  return taken;
}

/** What the turns come to, compared turn by turn. */
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

/** Both at once, where a measurement is one number. */
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

/** Milliseconds that it took. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}
