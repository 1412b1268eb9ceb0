import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Metric } from "../../src/experiment.ts";
import type { Moments } from "../../src/results/moments.ts";
import { countsText } from "../../src/results/stored-counts.ts";
import { type Backup, importBackups, listBackups } from "../../src/store/backups.ts";
import { migrate } from "../../src/store/migrations.ts";

const NOW = Date.UTC(2026, 5, 1);

let folder: string;
let sqlite: ReturnType<typeof openSqlite>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-exposures-backup-"));
  sqlite = openSqlite(join(folder, "test.sqlite"));
  await migrate(sqlite, readMigrations("migrations/d1"));
});
afterAll(() => {
  sqlite.close();
  rmSync(folder, { recursive: true });
});

const revenue: Metric = {
  key: "revenue",
  name: "Revenue",
  event: "purchase",
  aggregation: "sum",
  expectedDirection: "increase",
  conversionWindowHours: 24,
  lookbackDays: 7,
};
const covariate = { sum: 0.1, squaredDeviations: 2, productsOfDeviations: -1e-9 };
const moments = { identities: 3, sum: 1e9 + 0.3, squaredDeviations: 0, covariate };
const variants = new Map<string, Moments>([
  ["__proto__", moments],
  ["2", { ...moments, covariate: null }],
]);

const counted = countsText([{ metric: revenue, invalidValues: 1, variants }]);

const backupOf = (id: string, exposures: string | null): Backup => ({
  experiment: {
    id,
    name: id,
    environmentKey: "env",
    featureName: id,
    variants: [{ key: "a", weight: 1 }],
    metrics: [revenue],
    startedAt: NOW - 1000,
    endedAt: null,
    createdAt: NOW - 5000,
    updatedAt: NOW - 4000,
    weightsChangedAt: id.endsWith("7") ? NOW - 500 : null,
  },
  asOf: exposures === null ? null : NOW,
  computedAt: exposures === null ? null : NOW,
  lastErrorAt: null,
  isFinal: false,
  exposures,
  // Some have results, some have none.
  results: exposures === null || id.endsWith("7") ? null : { asOf: NOW, computedAt: NOW, lastErrorAt: null, counted },
});

describe("listBackups", () => {
  it("returns all experiments in pages that fit into a Worker's memory", async () => {
    const sizes = [0, 10, 1_900_000, 1_900_000, 1_900_000, 5, 900_000, 900_000, 900_000, 900_000];
    const large = sizes.map((size, index) =>
      backupOf(`large-${index}`, size === 0 ? null : `{"text":"${"x".repeat(size)}"}`),
    );
    const small = Array.from({ length: 230 }, (_, index) => backupOf(`small-${1000 + index}`, "{}"));
    const all = [...large, ...small];
    expect((await importBackups(sqlite, all, NOW)).imported).toHaveLength(all.length);

    const found: Backup[] = [];
    for (;;) {
      const page = await listBackups(sqlite, found.at(-1)?.experiment.id ?? "");
      if (page.length === 0) break;
      const bytes = page.reduce((sum, { exposures }) => sum + (exposures?.length ?? 0), 0);
      expect(bytes).toBeLessThan(4_000_000);
      expect(page.length).toBeLessThanOrEqual(100);
      found.push(...page);
    }
    expect(found).toEqual(all);
  });
});
