import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isPast, lastShareDay, type ShareLink, signShareLink, verifyShareLink } from "../../src/panel/share-link.ts";

const SECRET = "test secret";
const link: ShareLink = {
  kind: "page",
  experimentId: "button",
  environmentKey: "env",
  until: "2026-12-31",
  by: "0123456789abcdef",
};
const now = Date.UTC(2026, 5, 1);

describe("signShareLink", () => {
  it("returns a signature that needs no escaping in a URL", async () => {
    for (let day = 10; day < 30; day += 1)
      expect(await signShareLink(SECRET, { ...link, until: `2026-12-${day}` })).toMatch(/^[\w-]{43}$/);
  });

  it("signs the same text in every version, so that an update ends no link", async () => {
    const text = '["share","page","button","env","2026-12-31","0123456789abcdef"]';
    const expected = createHmac("sha256", SECRET).update(text).digest("base64url");
    expect(await signShareLink(SECRET, link)).toBe(expected);
  });
});

describe("verifyShareLink", () => {
  it("accepts the link that was signed", async () => {
    expect(await verifyShareLink(SECRET, link, await signShareLink(SECRET, link), now)).toBe(true);
  });

  it.each<[string, Partial<ShareLink>]>([
    ["the SVG", { kind: "svg" }],
    ["the CSV", { kind: "csv" }],
    ["another experiment", { experimentId: "button2" }],
    ["an experiment with a shorter id", { experimentId: "butto" }],
    ["the same id in another environment", { environmentKey: "other" }],
    ["a later day", { until: "2027-01-01" }],
    ["an earlier day", { until: "2026-12-30" }],
    ["another maker", { by: "0123456789abcdee" }],
    ["parts that are split elsewhere", { experimentId: "button env", environmentKey: "" }],
  ])("rejects the signature when used for %s", async (_, change) => {
    expect(await verifyShareLink(SECRET, { ...link, ...change }, await signShareLink(SECRET, link), now)).toBe(false);
  });

  it("rejects a link after the secret is replaced", async () => {
    expect(await verifyShareLink("another", link, await signShareLink(SECRET, link), now)).toBe(false);
  });

  it("rejects a link after its last day in UTC", async () => {
    const signature = await signShareLink(SECRET, link);
    const end = Date.UTC(2027, 0, 1);
    expect(await verifyShareLink(SECRET, link, signature, end - 1)).toBe(true);
    expect(await verifyShareLink(SECRET, link, signature, end)).toBe(false);
  });

  it("rejects an altered signature", async () => {
    const signature = await signShareLink(SECRET, link);
    for (let index = 0; index < signature.length - 1; index += 1) {
      const other = signature[index] === "A" ? "B" : "A";
      const altered = signature.slice(0, index) + other + signature.slice(index + 1);
      expect(await verifyShareLink(SECRET, link, altered, now), altered).toBe(false);
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
  ])("rejects the signature %j", async (signature) => {
    expect(await verifyShareLink(SECRET, link, signature, now)).toBe(false);
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
  ])("rejects the signed date %j", async (until) => {
    const invalid = { ...link, until };
    expect(isPast(until, now)).toBe(true);
    expect(await verifyShareLink(SECRET, invalid, await signShareLink(SECRET, invalid), now)).toBe(false);
  });
});

describe("lastShareDay", () => {
  it("is 90 days ahead", () => {
    expect(lastShareDay(now, null)).toBe("2026-08-30");
  });

  it.each([
    { expiresAt: Date.UTC(2026, 5, 3, 12), day: "2026-06-03" },
    { expiresAt: Date.UTC(2026, 5, 3), day: "2026-06-02" },
    { expiresAt: Date.UTC(2030, 0, 1), day: "2026-08-30" },
  ])("is at most the last day of a credential that expires at $expiresAt: $day", ({ expiresAt, day }) => {
    expect(lastShareDay(now, expiresAt)).toBe(day);
  });
});
