import type { Health } from "../../src/exposures/health.ts";

/** A health of no checks, for tests that only care for the numbers beside it. */
export const unchecked: Health = { status: "healthy", checks: [] };
