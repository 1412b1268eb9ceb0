import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { beforeEach, describe, expect, it } from "vitest";
import { clientNetwork } from "../../src/http/client-network.ts";
import { createFailedAttempts, type FailedAttempts } from "../../src/http/failed-attempts.ts";

let now: number;
let allowed: number;
let limiterKeys: string[];
let lines: unknown[];
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
  allowed = 0;
  limiterKeys = [];
  lines = [];
});

const create = () =>
  createFailedAttempts(
    "signature",
    async (key) => limiterKeys.push(key) <= allowed,
    () => now,
  );
/** Uses up the look-ups of a blocked address. */
const isBlocked = ({ mayLookUp }: FailedAttempts, address: string) =>
  Array.from({ length: 1_001 }, () => mayLookUp(address)).includes(false);
const log = (...line: unknown[]) => void lines.push(line);

describe("createFailedAttempts", () => {
  it("blocks an address for a minute after the first failure above the limit", async () => {
    const failedAttempts = create();
    allowed = 2;
    expect([await failedAttempts.record("192.0.2.1", log), await failedAttempts.record("192.0.2.1", log)]).toEqual([
      true,
      true,
    ]);
    expect(isBlocked(failedAttempts, "192.0.2.1")).toBe(false);
    expect(await failedAttempts.record("192.0.2.1", log)).toBe(false);
    expect(isBlocked(failedAttempts, "192.0.2.1")).toBe(true);
    now += 59_999;
    expect(isBlocked(failedAttempts, "192.0.2.1")).toBe(true);
    now += 1;
    expect(isBlocked(failedAttempts, "192.0.2.1")).toBe(false);
  });

  it("logs a block once, even if further failures follow", async () => {
    const failedAttempts = create();
    for (let attempt = 0; attempt < 3; attempt += 1) expect(await failedAttempts.record("192.0.2.1", log)).toBe(false);
    const fields = { what: "signature", address: "192.0.2.1", seconds: 60 };
    expect(lines).toEqual([["warn", "address.blocked", fields]]);
  });

  it("does not extend a block on further failures", async () => {
    const failedAttempts = create();
    await failedAttempts.record("192.0.2.1", log);
    now += 30_000;
    await failedAttempts.record("192.0.2.1", log);
    expect(limiterKeys).toEqual(["signature:192.0.2.1"]);
    now += 30_000;
    expect(isBlocked(failedAttempts, "192.0.2.1")).toBe(false);
  });

  it("blocks all addresses of one network, and no others", async () => {
    const failedAttempts = create();
    await failedAttempts.record("2001:db8:1:2::1", log);
    await failedAttempts.record("192.0.2.1", log);
    for (const address of ["2001:db8:1:2:ffff::", "192.0.2.1", "::ffff:192.0.2.1"])
      expect(isBlocked(failedAttempts, address), address).toBe(true);
    for (const address of ["2001:db8:1:3::1", "192.0.2.2", "unknown"])
      expect(isBlocked(failedAttempts, address), address).toBe(false);
  });

  it("allows a blocked address 1,000 look-ups", async () => {
    const failedAttempts = create();
    await failedAttempts.record("192.0.2.1", log);
    for (let lookUp = 0; lookUp < 1_000; lookUp += 1) expect(failedAttempts.mayLookUp("192.0.2.1")).toBe(true);
    expect(failedAttempts.mayLookUp("192.0.2.1")).toBe(false);
    now += 60_000;
    expect(failedAttempts.mayLookUp("192.0.2.1")).toBe(true);
  });

  it("keeps the blocks of the last 10,000 addresses", async () => {
    const failedAttempts = create();
    const addresses = Array.from({ length: 10_001 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    for (const address of addresses) await failedAttempts.record(address, log);
    limiterKeys = [];
    for (const address of addresses.toReversed()) await failedAttempts.record(address, log);
    expect(limiterKeys).toEqual(["signature:10.0.0.0"]);
  });
});

describe("clientNetwork", () => {
  it.each([
    { address: "192.0.2.1", network: "192.0.2.1" },
    { address: "::ffff:192.0.2.1", network: "192.0.2.1" },
    { address: "2001:db8:1:2:3:4:5:6", network: "2001:db8:1:2::/64" },
    { address: "2001:DB8:A:B::", network: "2001:db8:a:b::/64" },
    { address: "2001:db8::", network: "2001:db8:0:0::/64" },
    { address: "2001:db8::1", network: "2001:db8:0:0::/64" },
    { address: "2001:db8::3:4:5:6:7", network: "2001:db8:0:3::/64" },
    { address: "1::3:4:5:6:7:8", network: "1:0:3:4::/64" },
    { address: "::2:3:4:5:6:7:8", network: "0:2:3:4::/64" },
    { address: "1:2:3:4:5:6:7::", network: "1:2:3:4::/64" },
    { address: "::1", network: "0:0:0:0::/64" },
    { address: "::", network: "0:0:0:0::/64" },
  ])("maps $address to $network", ({ address, network }) => {
    expect(clientNetwork(address)).toBe(network);
  });

  it("agrees with ipaddr.js on any address", () => {
    // ipaddr.js takes ::192.0.2.1, an obsolete form, for ::ffff:192.0.2.1.
    const hexadecimal = fc.ipV6().filter((address) => !address.includes("."));
    fc.assert(
      fc.property(
        fc.oneof(
          hexadecimal,
          fc.ipV4(),
          fc.ipV4().map((address) => `::ffff:${address}`),
        ),
        (address) => {
          const parsed = ipaddr.process(address);
          const prefix =
            parsed instanceof ipaddr.IPv6 ? parsed.parts.slice(0, 4).map((part) => part.toString(16)) : null;
          expect(clientNetwork(address)).toBe(prefix === null ? parsed.toString() : `${prefix.join(":")}::/64`);
        },
      ),
    );
  });

  it("is the same for every notation of an address", () => {
    const written = ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "2001:DB8:0:0:1::1"];
    expect(new Set(written.map(clientNetwork))).toEqual(new Set(["2001:db8:0:0::/64"]));
  });

  it("ignores the port that a proxy adds", () => {
    for (const address of ["192.0.2.1:5678", "192.0.2.1:9"]) expect(clientNetwork(address)).toBe("192.0.2.1");
    for (const address of ["[2001:db8::1]:5678", "[2001:db8::1]", "2001:db8::1"])
      expect(clientNetwork(address)).toBe("2001:db8:0:0::/64");
  });

  it("returns text that is not an address unchanged, and never throws", () => {
    expect(["", "unknown"].map(clientNetwork)).toEqual(["", "unknown"]);
    for (const text of [
      "1:2:3:4:5:6:7:8:9",
      "1::2::3",
      ":",
      "1:2:3:4:5:6:7:8::9",
      "a:b@c/",
      "fe80::1%eth0",
      "1:2",
      "x1:2:3:4:5:6:7:8",
      "x192.0.2.1:80",
    ])
      expect(clientNetwork(text)).toBe(text);
  });
});
