/** Maps values to pixels. */
export type Scale = { from: number; to: number; at(value: number): number };

export function linearScale([from, to]: [number, number], [start, end]: [number, number]): Scale {
  return { from, to, at: (value) => start + ((value - from) / (to - from)) * (end - start) };
}

/** Rounds a coordinate to a tenth of a pixel, which keeps the SVG short. */
export const roundPixels = (value: number) => Math.round(value * 10) / 10;
