import { DatabaseUnavailable } from "../store/database.ts";
import { isMigrated } from "../store/schema-version.ts";
import type { AppDeps } from "./deps.ts";

/** The TTL of a verdict. It bounds the statements and log lines that anonymous callers can cause. */
const VERDICT_MS = 1_000;
/** A full database still answers reads, so a failed write counts for this long. */
const FULL_MS = 60_000;

export type Readiness = {
  /** Returns whether the database answers and is migrated. Calls `report` if a new check fails. */
  check(report: (failure: DatabaseUnavailable) => void): Promise<boolean>;
  /** Notes a failed request. */
  observe(failure: DatabaseUnavailable): void;
};

export function createReadiness({ database, clock }: Pick<AppDeps, "database" | "clock">): Readiness {
  let isReady: boolean | null = null;
  let checkedAt = 0;
  let fullAt: number | null = null;

  async function inspect(): Promise<DatabaseUnavailable | null> {
    try {
      return (await isMigrated(database)) ? null : new DatabaseUnavailable("not_migrated");
    } catch (error) {
      if (error instanceof DatabaseUnavailable) return error;
      throw error;
    }
  }

  return {
    async check(report) {
      const now = clock();
      if (fullAt !== null && now - fullAt < FULL_MS) return false;
      // Calls during a check get the previous verdict.
      if (isReady !== null && now >= checkedAt && now - checkedAt < VERDICT_MS) return isReady;
      checkedAt = now;
      const failure = await inspect();
      if (failure !== null) report(failure);
      isReady = failure === null;
      return isReady;
    },
    observe({ reason }) {
      if (reason === "full") fullAt = clock();
    },
  };
}
