/** At most `max` indices of a list, evenly spaced and including the last. Limits the points that a line is drawn with. */
export function evenlySpaced(length: number, max: number): number[] {
  const step = Math.max(1, Math.ceil(length / max));
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => length - 1 - index * step).reverse();
}
