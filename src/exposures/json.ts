// Access to parsed JSON whose shape is not known.

/** The value of an own property; undefined if there is none. */
export function property(value: unknown, name: string): unknown {
  return Object.entries(Object(value)).find(([key]) => key === name)?.[1];
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
