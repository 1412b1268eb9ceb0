import { describe, expect, it } from "vitest";
import { requestManualRefresh } from "../../src/refresh/request-refresh.ts";
import { runOnPrimary } from "../../src/store/database.ts";
import type { ManualRequest } from "../../src/store/refresh-requests.ts";
import { DAY, database, NOW, put, useDatabase } from "../support/sweeps.ts";

useDatabase();

/** Requests a refresh of the experiment `some` twice. Returns what was logged and woken. */
async function requestTwice(request: ManualRequest) {
  const logs: unknown[] = [];
  const woken: (string | null)[] = [];
  const deps = {
    database,
    dispatcher: { wake: async (id: string | null) => void woken.push(id) },
    settings: { refreshMinIntervalMs: 300_000 },
    clock: () => NOW,
  };
  const requester = {
    caller: { name: "key-1", environmentKey: null },
    log: (level: string, event: string, fields?: object) => void logs.push({ level, event, fields }),
  };
  const first = await requestManualRefresh(deps, requester, request, "some");
  const second = await requestManualRefresh(deps, requester, request, "some");
  return { first, second, logs, woken };
}

describe("a manual request", () => {
  it.each([
    { request: "refresh", event: null, isFinal: 0 },
    { request: "recount", event: "recount.requested", isFinal: 1 },
    { request: "rebuild", event: "states.rebuild", isFinal: 0 },
  ] as const)("to $request is logged once as $event, with who made it", async ({ request, event, isFinal }) => {
    await put("some", NOW - 2 * DAY, isFinal === 1 ? NOW - DAY : null);
    const sql = "UPDATE experiments SET is_final = ?, as_of = ?, refresh_requested_at = NULL, refresh_due_at = NULL";
    await runOnPrimary(database, { sql, values: [isFinal, NOW - DAY] });
    const { first, second, logs, woken } = await requestTwice(request);
    expect(first).toEqual({ ok: true, value: NOW });
    expect(second).toEqual({ ok: false, failure: { kind: "too_soon", retryAfterSeconds: 300 } });
    expect(logs).toEqual(
      event === null ? [] : [{ level: "info", event, fields: { experiment_id: "some", by: "key-1" } }],
    );
    expect(woken[0]).toBe("some");
  });
});
