import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectWarehouse, forExperiment } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { type FailureKind, isTransient } from "../../src/warehouse/failure.ts";
import { faults, respondWith, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

const from = Date.UTC(2026, 5, 1);
const query = { environmentKey: "env", featureName: "button", window: { from, to: from + 3_600_000 } };

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  const event = { environment_key: "env", feature_name: "button", timestamp: from };
  await warehouse.insert([
    { ...event, identifier: "ann", value: "control" },
    { ...event, identifier: "bob", value: "treatment" },
  ]);
});
afterAll(() => proxy.stop());

describe("countExposures, when a query fails", () => {
  it("accepts the rows that the faults below are made from", async () => {
    proxy.injectFault(respondWith({ identities: 7 }));
    const counted = await countExposures(connectWarehouse(proxy.settings), query);
    expect(counted).toMatchObject({ ok: true, value: { counts: [{ multiple: true, identities: 7 }] } });
  });

  const faultCases: [keyof typeof faults, FailureKind, "transient" | "permanent"][] = [
    ["reset", "unreachable", "transient"],
    ["hanging before the headers", "timeout", "transient"],
    ["hanging inside the body", "timeout", "transient"],
    ["cut inside the body", "bad_answer", "transient"],
    ["truncated JSON", "bad_answer", "transient"],
    ["status 500", "server_error", "transient"],
    ["HTML from a proxy, as a 502", "server_error", "transient"],
    ["HTML from a proxy, as a 200", "bad_answer", "transient"],
    ["too many queries", "overloaded", "transient"],
    ["an exception inside a 200, as a key", "overloaded", "transient"],
    ["an exception inside a 200, after the data", "missing_table", "permanent"],
    ["a negative count", "bad_rows", "permanent"],
    ["an unsafe count", "bad_rows", "permanent"],
    ["a count as text", "bad_rows", "permanent"],
    ["a bucket outside the window", "bad_rows", "permanent"],
    ["rows of another shape", "bad_rows", "permanent"],
    ["fewer rows than it says", "bad_answer", "transient"],
  ];
  it.each(faultCases)("reports %s as %s, %s", async (fault, kind, persistence) => {
    proxy.injectFault(faults[fault]);
    const result = await countExposures(connectWarehouse({ ...proxy.settings, queryTimeoutMs: 1000 }), query);
    expect(result).toMatchObject({ ok: false, failure: { kind } });
    expect(isTransient(kind)).toBe(persistence === "transient");
    // The connection of a hanging response is closed.
    await expect.poll(() => proxy.state.inFlight).toBe(0);
  });

  const settingsCases: [string, () => Parameters<typeof connectWarehouse>[0], FailureKind][] = [
    ["a refused connection", () => ({ ...warehouse.settings, url: new URL("http://127.0.0.1:1") }), "unreachable"],
    [
      "a host without an address",
      () => ({ ...warehouse.settings, url: new URL("http://nowhere.invalid") }),
      "unreachable",
    ],
    ["a wrong password", () => ({ ...warehouse.settings, password: "wrong" }), "credentials"],
    ["an unknown user", () => ({ ...warehouse.settings, user: "nobody" }), "credentials"],
    ["a missing table", () => ({ ...warehouse.settings, table: "nothing" }), "missing_table"],
    ["a missing database", () => ({ ...warehouse.settings, database: "nothing" }), "missing_table"],
    [
      "a user with readonly = 1",
      () => ({ ...warehouse.settings, user: users.readonly1.name, password: users.readonly1.password }),
      "settings_refused",
    ],
  ];
  it.each(settingsCases)("classifies %s", async (_, settings, kind) => {
    const result = await countExposures(connectWarehouse(settings()), query);
    expect(result).toMatchObject({ ok: false, failure: { kind } });
  });

  it("classifies a missing column", async () => {
    await warehouse.command("CREATE TABLE other (environment_key String) ENGINE = MergeTree ORDER BY ()");
    const result = await countExposures(connectWarehouse({ ...warehouse.settings, table: "other" }), query);
    expect(result).toMatchObject({ ok: false, failure: { kind: "missing_column", code: 47, status: 404 } });
  });

  it("does not follow a redirect, so that credentials are not sent to another host", async () => {
    proxy.injectFault((_, response) => {
      response.writeHead(307, { Location: warehouse.settings.url.href });
      response.end();
    });
    const result = await countExposures(connectWarehouse(proxy.settings), query);
    expect(result).toEqual({ ok: false, failure: { kind: "refused", status: 307 } });
  });

  it("succeeds for a user with readonly = 2", async () => {
    const { name: user, password } = users.reader;
    const result = await countExposures(connectWarehouse({ ...warehouse.settings, user, password }), query);
    expect(result).toMatchObject({ ok: true, value: { counts: [{ identities: 1 }, { identities: 1 }] } });
  });
});

describe("connectWarehouse", () => {
  it("stops the query on the server when the deadline passes", async () => {
    const endless = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1";
    const result = await connectWarehouse({ ...warehouse.settings, queryTimeoutMs: 500 }).select(endless, {});
    expect(result).toEqual({ ok: false, failure: { kind: "timeout" } });
    const running =
      "SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash64(number) = 1%' AND query NOT LIKE '%processes%'";
    await expect
      .poll(() => connectWarehouse(warehouse.settings).select(running, {}))
      .toEqual({ ok: true, value: [{ n: 0 }] });
  });

  it("comments each statement for the query log, with the experiment's id if it is for one", async () => {
    const connection = connectWarehouse(warehouse.settings);
    const comment = "SELECT getSetting('log_comment') AS comment";
    expect(await connection.select(comment, {})).toEqual({ ok: true, value: [{ comment: "edge-exposures" }] });
    const ofExperiment = forExperiment(connection, "checkout-cta");
    expect(await ofExperiment.select(comment, {}, { max_threads: "1" })).toEqual({
      ok: true,
      value: [{ comment: "edge-exposures/checkout-cta" }],
    });
    await warehouse.command("CREATE TABLE comments (comment String) ENGINE = Memory");
    await ofExperiment.command(`INSERT INTO comments ${comment}`, {});
    expect(await connection.select("SELECT * FROM comments", {})).toEqual({
      ok: true,
      value: [{ comment: "edge-exposures/checkout-cta" }],
    });
  });

  it("ends all statements by a shared deadline, among them a second attempt that spills to disk", async () => {
    proxy.reset();
    let now = 0;
    const shared = forExperiment(
      connectWarehouse({ ...proxy.settings, queryTimeoutMs: 60_000 }),
      "checkout-cta",
    ).withSharedDeadline(() => now);
    proxy.injectFault((_, response) => {
      now += 58_000;
      // Out of memory at first. The attempt that spills hangs.
      if (now < 60_000)
        response.writeHead(500, { "X-ClickHouse-Exception-Code": "241" }).end("Code: 241. DB::Exception: Memory.");
    });
    expect(await countExposures(shared, query)).toEqual({ ok: false, failure: { kind: "timeout" } });
    expect(proxy.state.queries).toBe(2);
    expect(await shared.select("SELECT 1", {}), "nothing is sent after the deadline").toMatchObject({ ok: false });
    expect(proxy.state.queries).toBe(2);
    proxy.injectFault(null);
  });

  it("reaches ClickHouse behind a path", async () => {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(new URL(request.url ?? "", "http://localhost").pathname);
      response.end('{"data":[],"rows":0}');
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}/clickhouse`);
    await connectWarehouse({ ...warehouse.settings, url }).select("SELECT 1", {});
    server.close();
    expect(paths).toEqual(["/clickhouse"]);
  });
});
