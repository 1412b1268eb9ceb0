import { describe, expect, it } from "vitest";
import type { Variant } from "../../src/experiment.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { type CheckStatus, type Health, NO_CAUSES } from "../../src/exposures/health.ts";
import { addCauses } from "../../src/refresh/add-causes.ts";
import { failed, ok } from "../../src/result.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";

const FROM = Date.UTC(2026, 5, 1);
const VARIANTS = ["a", "b"].map((key) => ({ key, weight: 1 }));

/** Adds causes to a health of this status. Returns it, the deadlines of the queries, and the log. */
async function add(
  status: CheckStatus,
  answer: Awaited<ReturnType<Warehouse["select"]>>,
  variants: readonly Variant[],
) {
  const deadlines: (number | undefined)[] = [];
  const logs: object[] = [];
  const warehouse: Warehouse = {
    table: { database: "default", table: "events" },
    select: async () => answer,
    command: async () => ok(null),
    withSharedDeadline(_, limitMs) {
      deadlines.push(limitMs);
      return warehouse;
    },
  };
  const health: Health = { status, checks: [{ name: "sample_ratio", status, detail: "Off.", figures: NO_CAUSES }] };
  const log = (level: string, event: string, fields = {}) => void logs.push({ level, event, ...fields });
  const explained = await addCauses(
    { warehouse, breakdownTraits: [], clock: () => FROM, log },
    { experimentId: "cta", environmentKey: "env", featureName: "button", startedAt: FROM },
    { variants, weightsChangedAt: null },
    { from: FROM, to: FROM + HOUR },
    health,
  );
  return { health, explained, deadlines, logs };
}

const rows = [0, 1, 2].map((dimension) => ({
  dimension,
  text: dimension === 0 ? String(FROM) : "x",
  counts: [3000, 0, 0, 2000, 1000, 0],
}));

describe("addCauses", () => {
  it("asks once, with a deadline of at most a minute", async () => {
    const { explained, deadlines, logs } = await add("unhealthy", ok(rows), VARIANTS);
    expect(explained.checks[0]?.figures).toMatchObject({ causes: [], causes_detail: expect.any(String) });
    expect(deadlines).toEqual([60_000]);
    expect(logs).toEqual([]);
  });

  it("does not ask while all is well, nor for too many variants", async () => {
    const many = Array.from({ length: 101 }, (_, index) => ({ key: String(index), weight: 1 }));
    for (const { health, explained, deadlines } of [
      await add("healthy", ok(rows), VARIANTS),
      await add("unhealthy", ok(rows), many),
    ]) {
      expect(explained).toBe(health);
      expect(deadlines).toEqual([]);
    }
  });

  it.each([
    { what: "times out", answer: failed({ kind: "timeout" as const }), kind: "timeout" },
    { what: "returns rows that are no counts", answer: ok([{}]), kind: "bad_rows" },
  ])("leaves the health as it is, and logs advice, if the query $what", async ({ answer, kind }) => {
    const { health, explained, logs } = await add("unhealthy", answer, VARIANTS);
    expect(explained).toBe(health);
    const advice = expect.any(String);
    expect(logs).toEqual([{ level: "warn", event: "causes.failed", experiment_id: "cta", kind, advice }]);
  });
});
