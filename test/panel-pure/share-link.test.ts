import { describe, expect, it } from "vitest";
import { isPast, type ShareLink, signShareLink, verifyShareLink } from "../../src/panel/share-link.ts";

const SECRET = "secret of the tests";
const shared: ShareLink = { kind: "page", experimentId: "button", environmentKey: "env", until: "2026-12-31" };
const now = Date.UTC(2026, 5, 1);

describe("a link that was shared", () => {
  it("opens what it was made for", async () => {
    expect(await verifyShareLink(SECRET, shared, await signShareLink(SECRET, shared), now)).toBe(true);
  });

  it("has a signature that needs no escaping in a URL", async () => {
    for (let day = 10; day < 30; day += 1)
      expect(await signShareLink(SECRET, { ...shared, until: `2026-12-${day}` })).toMatch(/^[\w-]{43}$/);
  });

  it.each<[string, Partial<ShareLink>]>([
    ["the SVG", { kind: "svg" }],
    ["the CSV", { kind: "csv" }],
    ["another experiment", { experimentId: "button2" }],
    ["an experiment whose id only begins like it", { experimentId: "butto" }],
    ["the same id in another environment", { environmentKey: "other" }],
    ["a later day", { until: "2027-01-01" }],
    ["an earlier day", { until: "2026-12-30" }],
    ["parts that are cut elsewhere", { experimentId: "button env", environmentKey: "" }],
  ])("does not open %s", async (_, other) => {
    expect(await verifyShareLink(SECRET, { ...shared, ...other }, await signShareLink(SECRET, shared), now)).toBe(
      false,
    );
  });

  it("ends with another secret", async () => {
    expect(await verifyShareLink("another", shared, await signShareLink(SECRET, shared), now)).toBe(false);
  });

  it("ends with its last day, in UTC", async () => {
    const signature = await signShareLink(SECRET, shared);
    const end = Date.UTC(2027, 0, 1);
    expect(await verifyShareLink(SECRET, shared, signature, end - 1)).toBe(true);
    expect(await verifyShareLink(SECRET, shared, signature, end)).toBe(false);
  });

  it("opens nothing with an altered signature", async () => {
    const signature = await signShareLink(SECRET, shared);
    for (let place = 0; place < signature.length - 1; place += 1) {
      const other = signature[place] === "A" ? "B" : "A";
      const altered = signature.slice(0, place) + other + signature.slice(place + 1);
      expect(await verifyShareLink(SECRET, shared, altered, now), altered).toBe(false);
    }
  });

  it.each([
    "",
    "A",
    "=".repeat(43),
    "é".repeat(43),
    "A".repeat(43),
    "A".repeat(44),
    "\0".repeat(43),
    "A".repeat(100_000),
  ])("opens nothing with the signature %j", async (signature) => {
    expect(await verifyShareLink(SECRET, shared, signature, now)).toBe(false);
  });

  it.each([
    "",
    "never",
    "2026-13-01",
    "2026-1-1",
    "+002026-12-31",
    "12026-12-31",
    "2026-12-31T00:00:00Z",
    " 2026-12-31",
  ])("opens nothing until %j, even if it is signed", async (until) => {
    const odd = { ...shared, until };
    expect(isPast(until, now)).toBe(true);
    expect(await verifyShareLink(SECRET, odd, await signShareLink(SECRET, odd), now)).toBe(false);
  });
});
