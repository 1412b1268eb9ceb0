import type { Breakdowns, BreakdownValue } from "../../src/exposures/breakdown.ts";
import type { BreakdownQuery } from "../../src/warehouse/breakdown-query.ts";
import type { Event } from "./warehouse.ts";

const HOUR = 3_600_000;

/** Breaks identities down one by one, independently of the product's query. Ties have equal values. */
export function breakDownByBruteForce(events: readonly Event[], query: BreakdownQuery): Breakdowns {
  const { from, to } = query.window;
  const valid = events.filter(
    ({ environment_key, feature_name, event = "$flag_exposure", timestamp, identifier, value }) =>
      environment_key === query.environmentKey &&
      feature_name === query.featureName &&
      event === "$flag_exposure" &&
      timestamp >= from &&
      timestamp < to &&
      identifier !== "" &&
      value !== "",
  );
  const identities = [...Map.groupBy(valid, ({ identifier }) => identifier).values()].map((own) => {
    const isLate = (event: Event) => (event.collected_at ?? event.timestamp) - event.timestamp > HOUR;
    const [first] = own.toSorted((a, b) => a.timestamp - b.timestamp || Number(isLate(a)) - Number(isLate(b)));
    if (first === undefined) throw new Error("an identity has an event");
    return { first, isLate: isLate(first), variants: new Set(own.map(({ value }) => value)) };
  });
  type Identity = (typeof identities)[number];

  const keys = query.variants.map(({ key }) => key);
  const summarise = (value: string | null, group: readonly Identity[]): BreakdownValue => {
    const counted = group.filter(({ variants }) => variants.size === 1);
    const split = counted.filter(({ first }) => first.timestamp >= query.splitFrom);
    const numberOf = (isWanted: (key: string) => boolean) => split.filter(({ first }) => isWanted(first.value)).length;
    const others = numberOf((value) => !keys.includes(value));
    return {
      value,
      identities: new Map([
        ...keys.map((key): [string, number] => [key, numberOf((value) => value === key)]),
        ...(others > 0 ? [["", others] as const] : []),
      ]),
      counted: counted.length,
      excluded: group.length - counted.length,
      late: group.filter(({ isLate }) => isLate).length,
    };
  };
  const byValue = (textOf: (event: Event) => string) => {
    const groups = [...Map.groupBy(identities, ({ first }) => cut(textOf(first)))].sort(
      ([a, one], [b, other]) => other.length - one.length || Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    const rest = groups.slice(20).flatMap(([, group]) => group);
    return [
      ...groups.slice(0, 20).map(([text, group]) => summarise(text, group)),
      ...(rest.length > 0 ? [summarise(null, rest)] : []),
    ];
  };

  const size = to - from <= 72 * HOUR ? HOUR : 24 * HOUR;
  const buckets: BreakdownValue[] = [];
  for (let start = from - (from % size); start < to; start += size)
    buckets.push(
      summarise(
        String(start),
        identities.filter(({ first }) => first.timestamp >= start && first.timestamp < start + size),
      ),
    );
  return {
    splitFrom: query.splitFrom,
    dimensions: [
      { dimension: "first_exposure", values: buckets },
      { dimension: "sdk_language", values: byValue(({ sdk_language = "" }) => labelled(sdk_language || undefined)) },
      { dimension: "sdk_version", values: byValue(({ sdk_version = "" }) => labelled(sdk_version || undefined)) },
      ...query.traits.map((name) => ({
        dimension: `traits.${name}`,
        values: byValue(({ traits = "" }) => traitOf(traits, name)),
      })),
    ],
  };
}

function traitOf(traits: string, name: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(traits);
  } catch {
    return "(not a JSON object)";
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return "(not a JSON object)";
  return labelled(new Map(Object.entries(parsed)).get(name));
}

function labelled(value: unknown): string {
  if (value === undefined || value === null) return "(not set)";
  return typeof value === "string" && value !== "" && !/^[("]/.test(value) ? value : JSON.stringify(value);
}

const cut = (text: string) => [...text.replaceAll("\0", "\u2400")].slice(0, 200).join("");
