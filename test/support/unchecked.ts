import type { Health } from "../../src/exposures/health.ts";

/** The health of an experiment without checks, for tests of other fields. */
export const unchecked: Health = { status: "healthy", checks: [] };
