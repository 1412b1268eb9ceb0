import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { writeCsv } from "../../src/panel/csv.ts";
import type { Exposures } from "../../src/panel/parse-exposures.ts";
import { anyCharacter } from "../support/arbitrary.ts";

const seed = Number(process.env["SEED"] ?? 7);
const START = Date.UTC(2026, 5, 1);

function exposuresOf(keys: readonly string[], added: readonly number[] = [1, 2]): Exposures {
  const cumulative = added.map((_, index) => added.slice(0, index + 1).reduce((sum, count) => sum + count, 0));
  return {
    total: 0,
    excluded: 3,
    granularity: "hour",
    health: { status: "healthy", checks: [] },
    buckets: added.map((_, index) => START + index * 3_600_000),
    variants: keys.map((key) => ({ key, total: cumulative.at(-1) ?? 0, added: [...added], cumulative })),
  };
}

/** Parses CSV by RFC 4180 into cells, with any separator. */
function parse(text: string, separator = ","): string[][] {
  const rows: string[][] = [[]];
  const cell = new RegExp(
    `(?:"((?:[^"]|"")*)"([^${separator}\\r\\n]*)|([^${separator}\\r\\n]*))(${separator}|\\r\\n|\\n|\\r|$)`,
    "y",
  );
  for (;;) {
    const [, quoted, tail, plain, end] = cell.exec(text) ?? [];
    rows.at(-1)?.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"') + (tail ?? ""));
    if (end === undefined || end === "" || cell.lastIndex >= text.length) return rows;
    if (end !== separator) rows.push([]);
  }
}

/** True if a spreadsheet could read the cell as a formula. It may ignore characters before the sign. */
const isFormula = (cell: string) => /^[\s\p{C}"]*[=+\-@＝＋－＠]/u.test(cell);
const nameIn = (csv: string) => parse(csv)[1]?.[1] ?? "";

describe("writeCsv", () => {
  it("writes a header, a row per bucket and variant, and a row for $multiple", () => {
    expect(writeCsv(exposuresOf(["control", "b"]))).toBe(
      [
        "bucket,variant,new_identities,cumulative_identities",
        '2026-06-01T00:00:00.000Z,"control",1,1',
        '2026-06-01T00:00:00.000Z,"b",1,1',
        '2026-06-01T01:00:00.000Z,"control",2,3',
        '2026-06-01T01:00:00.000Z,"b",2,3',
        ',"$multiple",,3',
        "",
      ].join("\r\n"),
    );
  });

  it("writes only the header without exposures", () => {
    expect(writeCsv(null)).toBe("bucket,variant,new_identities,cumulative_identities\r\n");
  });

  it("writes no variant rows without variants", () => {
    expect(parse(writeCsv(exposuresOf([])))).toHaveLength(2);
  });

  it.each(["plain", "a,b", 'a"b', '"', "a\r\nb", "a\nb", "a;b", "ключ", "1", "", " ", "a=b", "a-b", "x@y", "'"])(
    "keeps the name %j unchanged",
    (key) => {
      expect(nameIn(writeCsv(exposuresOf([key])))).toBe(key);
    },
  );

  it.each([
    ...["=1+1", "+1", "-1", "@x", "\t=1", "\tx", "\rx", "  =1", "\n=1", '"=1', "\0=1", "\ufeff=1", "\u200b=1"],
    ...["＝1+1", "＋1", "－1", "＠x", "\u3000＝1", `${" ".repeat(1000)}=1`],
  ])("escapes the name %j with an apostrophe", (key) => {
    expect(nameIn(writeCsv(exposuresOf([key])))).toMatch(/^\n?'/);
  });

  it("never starts a cell with a formula, for any separator", () => {
    const hostile = fc.array(
      fc.constantFrom("=", "+", "-", "@", "＝", '"', "'", ",", ";", "\t", "\r", "\n", " ", "\0", "\u202e", "a", "1"),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(hostile, (parts) => {
        const csv = writeCsv(exposuresOf([parts.join("")]));
        // Numbers have no sign, so no cell may begin with one.
        for (const separator of [",", ";", "\t"])
          for (const cell of parse(csv, separator).flat()) expect(isFormula(cell), JSON.stringify(csv)).toBe(false);
      }),
      { seed, numRuns: 3_000 },
    );
  });

  it("keeps the row and column counts for any names", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: anyCharacter }), { maxLength: 4 }), (keys) => {
        const rows = parse(writeCsv(exposuresOf(keys)));
        expect(rows).toHaveLength(1 + 2 * keys.length + 1);
        for (const row of rows) expect(row).toHaveLength(4);
      }),
      { seed },
    );
  });

  it("is not slowed down by a name of 300,000 tabs or spaces", () => {
    for (const filler of ["\t", " ", ";", '"'])
      expect(writeCsv(exposuresOf([filler.repeat(300_000)], [1])).length).toBeGreaterThan(300_000);
  });
});
