import { describe, expect, it } from "vitest";
import { isLoopback, traitNames } from "../src/setting-types.ts";

describe("isLoopback", () => {
  it.each(["localhost", "127.0.0.1", "127.10.20.255", "::1", "[::1]"])("is true for %s", (hostname) => {
    expect(isLoopback(hostname)).toBe(true);
  });

  it.each([
    "localhost.example",
    "my-localhost",
    "127.0.0.1.example",
    "1127.0.0.1",
    "10.0.0.1",
    "0.0.0.0",
    "::10",
    "1::1",
  ])("is false for %s", (hostname) => {
    expect(isLoopback(hostname)).toBe(false);
  });
});

describe("traitNames", () => {
  it("accepts ten keys", () => {
    expect(traitNames.parse("a,b,c,d,e,f,g,h,i,j")).toHaveLength(10);
  });
});
