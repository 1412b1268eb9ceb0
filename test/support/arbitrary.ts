import fc from "fast-check";
import type { Event } from "./warehouse.ts";

/** Any character but surrogates. fast-check's unit "binary" builds a table of them each time, which takes half a second. */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((index) => String.fromCodePoint(index < 0xd800 ? index : index + 0x800));

export const HOUR = 3_600_000;

/** Variant keys that need correct quoting, escaping or lookup. */
const hostileKeys = [
  "__proto__",
  "constructor",
  "$multiple",
  "1",
  "10",
  "2",
  "a'b",
  'a"b',
  "a\\b",
  "a\tb",
  "a\nb",
  "\0",
  " ",
  "ключ",
  "🧪",
  "ltr\u202ertl",
];

/** A window, the configured variants, and events with duplicates, conflicts and rows that must not count. */
export const scenario = fc
  .record({
    from: fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2026, 6) }),
    length: fc.oneof(
      fc.constantFrom(1, HOUR - 1, HOUR, 72 * HOUR - 1, 72 * HOUR, 72 * HOUR + 1),
      fc.integer({ min: 1, max: 80 * HOUR }),
      fc.integer({ min: 1, max: 40 * 24 * HOUR }),
    ),
    configured: fc.uniqueArray(fc.constantFrom("control", "treatment", ...hostileKeys), { maxLength: 4 }),
    events: fc.array(
      fc.record({
        identity: fc.oneof(
          { weight: 9, arbitrary: fc.integer({ min: 1, max: 12 }) },
          { weight: 1, arbitrary: fc.constant(0) },
        ),
        variant: fc.oneof(
          { weight: 6, arbitrary: fc.constant("control") },
          { weight: 3, arbitrary: fc.constant("treatment") },
          { weight: 3, arbitrary: fc.constantFrom(...hostileKeys) },
          { weight: 1, arbitrary: fc.constant("") },
        ),
        /** An edge of the window, or a fraction of its length. */
        at: fc.oneof(
          fc.constantFrom("before", "first", "last", "end", "after"),
          fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        ),
        mismatch: fc.oneof(
          { weight: 20, arbitrary: fc.constant(null) },
          fc.constantFrom("environment", "feature", "event"),
        ),
        /** From event to collection, in milliseconds. It is negative when the clocks differ. */
        delay: fc.oneof(
          { weight: 3, arbitrary: fc.constant(500) },
          fc.constantFrom(-2 * HOUR, HOUR, HOUR + 1, 9 * HOUR),
        ),
        copies: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 3 })),
      }),
      { maxLength: 60 },
    ),
  })
  .map(({ from, length, configured, events }) => {
    const to = from + length;
    const edges = { before: from - 1, first: from, last: to - 1, end: to, after: to + HOUR };
    return {
      from,
      to,
      configured,
      /** Builds the events for an environment and a feature. */
      eventsOf: (environment_key: string, feature_name: string): Event[] =>
        events.flatMap(({ identity, variant, at, delay, mismatch, copies }) => {
          const timestamp = typeof at === "string" ? edges[at] : from + Math.floor(at * length);
          const event: Event = {
            environment_key: mismatch === "environment" ? `${environment_key}-other` : environment_key,
            feature_name: mismatch === "feature" ? `${feature_name}-other` : feature_name,
            event: mismatch === "event" ? "$flag_evaluation" : "$flag_exposure",
            identifier: identity === 0 ? "" : `identity-${identity}`,
            value: variant,
            timestamp,
            collected_at: timestamp + delay,
          };
          return new Array<Event>(copies).fill(event);
        }),
    };
  });
