/** D1 stores at most 2,000,000 bytes per row. The other columns of the row get the rest. */
export const MAX_TEXT_BYTES = 1_900_000;

/** Returns whether a text, as UTF-8, fits into a row. */
export function fitsInRow(text: string): boolean {
  return new TextEncoder().encode(text).byteLength <= MAX_TEXT_BYTES;
}
