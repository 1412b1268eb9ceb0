import { describe, expect, it } from "vitest";
import { readOptions } from "../../src/dev/options.ts";
import { failed } from "../../src/result.ts";

describe("readOptions", () => {
  const OWN = "http://127.0.0.1:8124";

  it.each([
    { demo: undefined, url: "", expected: true },
    { demo: "", url: "", expected: true },
    { demo: "0", url: "", expected: false },
    { demo: "1", url: "", expected: true },
    { demo: undefined, url: OWN, expected: false },
    { demo: "", url: OWN, expected: false },
    { demo: "0", url: OWN, expected: false },
    { demo: "1", url: OWN, expected: true },
  ])("returns demo $expected with DEMO=$demo and CLICKHOUSE_URL=$url", ({ demo, url, expected }) => {
    const options = readOptions({ ...(demo === undefined ? {} : { DEMO: demo }), CLICKHOUSE_URL: url });
    expect(options).toMatchObject({ ok: true, value: { demo: expected, embedded: url === "" } });
  });

  it.each(["false", "no", "true", "00", " 0"])("rejects DEMO=%s", (demo) => {
    for (const url of ["", OWN])
      expect(readOptions({ DEMO: demo, CLICKHOUSE_URL: url })).toEqual(failed("DEMO must be 0 or 1"));
  });
});
