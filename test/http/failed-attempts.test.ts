import { beforeEach, describe, expect, it } from "vitest";
import { clientNetwork } from "../../src/http/client-network.ts";
import { createFailedAttempts } from "../../src/http/failed-attempts.ts";

let now: number;
let allowed: number;
let counted: string[];
let lines: unknown[];
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
  allowed = 0;
  counted = [];
  lines = [];
});

const start = () =>
  createFailedAttempts(
    "signature",
    async (key) => counted.push(key) <= allowed,
    () => now,
  );
const log = (...line: unknown[]) => void lines.push(line);

describe("the guard", () => {
  it("shuts an address out for a minute with the first failure that is one too many", async () => {
    const guard = start();
    allowed = 2;
    expect([await guard.record("192.0.2.1", log), await guard.record("192.0.2.1", log)]).toEqual([true, true]);
    expect(guard.isBlocked("192.0.2.1")).toBe(false);
    expect(await guard.record("192.0.2.1", log)).toBe(false);
    expect(guard.isBlocked("192.0.2.1")).toBe(true);
    now += 59_999;
    expect(guard.isBlocked("192.0.2.1")).toBe(true);
    now += 1;
    expect(guard.isBlocked("192.0.2.1")).toBe(false);
  });

  it("warns of it, once, though more was on its way", async () => {
    const guard = start();
    for (let time = 0; time < 3; time += 1) expect(await guard.record("192.0.2.1", log)).toBe(false);
    const fields = { what: "signature", address: "192.0.2.1", seconds: 60 };
    expect(lines).toEqual([["warn", "address.blocked", fields]]);
  });

  it("does not make the minute longer for those who go on", async () => {
    const guard = start();
    await guard.record("192.0.2.1", log);
    now += 30_000;
    await guard.record("192.0.2.1", log);
    expect(counted).toEqual(["signature:192.0.2.1"]);
    now += 30_000;
    expect(guard.isBlocked("192.0.2.1")).toBe(false);
  });

  it("shuts out all addresses of one party, and nobody else", async () => {
    const guard = start();
    await guard.record("2001:db8:1:2::1", log);
    await guard.record("192.0.2.1", log);
    for (const address of ["2001:db8:1:2:ffff::", "192.0.2.1", "::ffff:192.0.2.1"])
      expect(guard.isBlocked(address), address).toBe(true);
    for (const address of ["2001:db8:1:3::1", "192.0.2.2", "unknown"])
      expect(guard.isBlocked(address), address).toBe(false);
  });

  it("remembers the last ten thousand addresses", async () => {
    const guard = start();
    const addresses = Array.from({ length: 10_001 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    for (const address of addresses) await guard.record(address, log);
    expect(addresses.filter((address) => !guard.isBlocked(address))).toEqual(["10.0.0.0"]);
  });
});

describe("what one party commands", () => {
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
  ])("of $address is $network", ({ address, network }) => {
    expect(clientNetwork(address)).toBe(network);
  });

  it("is the same however an address is written", () => {
    const written = ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "2001:DB8:0:0:1::1"];
    expect(new Set(written.map(clientNetwork))).toEqual(new Set(["2001:db8:0:0::/64"]));
  });

  it("does not go by the port that a proxy adds", () => {
    for (const address of ["192.0.2.1:5678", "192.0.2.1:9"]) expect(clientNetwork(address)).toBe("192.0.2.1");
    for (const address of ["[2001:db8::1]:5678", "[2001:db8::1]", "2001:db8::1"])
      expect(clientNetwork(address)).toBe("2001:db8:0:0::/64");
  });

  it("of what is no address is that itself, or at least no bug", () => {
    expect(["", "unknown"].map(clientNetwork)).toEqual(["", "unknown"]);
    for (const text of ["1:2:3:4:5:6:7:8:9", "1::2::3", ":", "1:2:3:4:5:6:7:8::9"])
      expect(clientNetwork(text), text).toEqual(expect.any(String));
  });
});
