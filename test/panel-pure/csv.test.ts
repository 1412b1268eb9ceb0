import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { writeCsv } from "../../src/panel/csv.ts";
import type { Numbers } from "../../src/panel/numbers.ts";

const seed = Number(process.env["SEED"] ?? 7);
const START = Date.UTC(2026, 5, 1);

function numbersOf(keys: readonly string[], added: readonly number[] = [1, 2]): Numbers {
  const cumulative = added.map((_, index) => added.slice(0, index + 1).reduce((sum, count) => sum + count, 0));
  return {
    ...{ total: 0, excluded: 3, granularity: "hour", health: { status: "healthy", checks: [] } },
    buckets: added.map((_, index) => START + index * 3_600_000),
    variants: keys.map((key) => ({ key, total: cumulative.at(-1) ?? 0, added: [...added], cumulative })),
  };
}

/** The cells, as RFC 4180 has them, by whatever separates them. */
function parse(text: string, separator = ","): string[][] {
  const rows: string[][] = [[]];
  const cell = new RegExp(
    `(?:"((?:[^"]|"")*)"([^${separator}\\r\\n]*)|([^${separator}\\r\\n]*))(${separator}|\\r\\n|\\n|\\r|$)`,
    "y",
  );
  for (;;) {
    const [, quoted, behind, plain, end] = cell.exec(text) ?? [];
    rows.at(-1)?.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"') + (behind ?? ""));
    if (end === undefined || end === "" || cell.lastIndex >= text.length) return rows;
    if (end !== separator) rows.push([]);
  }
}

/** What a spreadsheet may skip before the sign of a formula. */
const isFormula = (cell: string) => /^[\s\p{C}"]*[=+\-@＝＋－＠]/u.test(cell);
const nameIn = (csv: string) => parse(csv)[1]?.[1] ?? "";

describe("the CSV", () => {
  it("has a header, a row for each bucket and variant, and one for those who saw several", () => {
    expect(writeCsv(numbersOf(["control", "b"]))).toBe(
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

  it("has its header only as long as there are no numbers", () => {
    expect(writeCsv(null)).toBe("bucket,variant,new_identities,cumulative_identities\r\n");
  });

  it("has no rows of variants if there are none", () => {
    expect(parse(writeCsv(numbersOf([])))).toHaveLength(2);
  });

  it.each(["plain", "a,b", 'a"b', '"', "a\r\nb", "a\nb", "a;b", "ключ", "1", "", " ", "a=b", "a-b", "x@y", "'"])(
    "keeps the name %j as it is",
    (key) => {
      expect(nameIn(writeCsv(numbersOf([key])))).toBe(key);
    },
  );

  it.each([
    ...["=1+1", "+1", "-1", "@x", "\t=1", "\tx", "\rx", "  =1", "\n=1", '"=1', "\0=1", "\ufeff=1", "\u200b=1"],
    ...["＝1+1", "＋1", "－1", "＠x", "\u3000＝1", `${" ".repeat(1000)}=1`],
  ])("puts an apostrophe before the name %j", (key) => {
    expect(nameIn(writeCsv(numbersOf([key])))).toMatch(/^\n?'/);
  });

  it("lets no name begin a cell with a formula, whatever separates cells", () => {
    const hostile = fc.array(
      fc.constantFrom("=", "+", "-", "@", "＝", '"', "'", ",", ";", "\t", "\r", "\n", " ", "\0", "\u202e", "a", "1"),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(hostile, (parts) => {
        const csv = writeCsv(numbersOf([parts.join("")]));
        // Numbers have no sign, so that no cell at all may begin with one.
        for (const separator of [",", ";", "\t"])
          for (const cell of parse(csv, separator).flat()) expect(isFormula(cell), JSON.stringify(csv)).toBe(false);
      }),
      { seed, numRuns: 3_000 },
    );
  });

  it("keeps rows and columns whatever the names", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: "binary" }), { maxLength: 4 }), (keys) => {
        const rows = parse(writeCsv(numbersOf(keys)));
        expect(rows).toHaveLength(1 + 2 * keys.length + 1);
        for (const row of rows) expect(row).toHaveLength(4);
      }),
      { seed },
    );
  });

  it("takes a name of 300,000 tabs or spaces as lightly as another", () => {
    for (const filler of ["\t", " ", ";", '"'])
      expect(writeCsv(numbersOf([filler.repeat(300_000)], [1])).length).toBeGreaterThan(300_000);
  });
});
