import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Stoppable } from "../../src/dev/local-worker.ts";
import { FLAGSMITH_KEY, startFlagsmith } from "../support/flagsmith.ts";
import type { Sizes } from "./bench-sizes.ts";
import { startFilled } from "./filled.ts";
import { startStub } from "./sweep.ts";
import { type Figure, timed } from "./turns.ts";

// Sweeps that sync running experiments with Flagsmith, against a Flagsmith and a warehouse that answer at once.

const PAGE_SIZE = 100;
const SYNC_INTERVAL_MS = 60_000;

export async function measure({ experiments }: Sizes): Promise<Figure[]> {
  const started: Stoppable[] = [];
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-flagsmith-"));
  try {
    const [stub, flagsmith] = await Promise.all([startStub(), startFlagsmith()]);
    started.push(stub, flagsmith);
    const ids = Array.from({ length: experiments }, (_, index) => index + 1);
    flagsmith.state.environments = { env: Object.fromEntries(ids.map((id) => [id, {}])) };
    const flagsmithVars = { FLAGSMITH_API_URL: flagsmith.apiUrl, FLAGSMITH_API_KEY: FLAGSMITH_KEY };
    const bindings = { CLICKHOUSE_URL: stub.url.href, ...flagsmithVars, FLAGSMITH_ENVIRONMENTS: "env" };
    const ours = await startFilled(folder, bindings, { experiments: 1, running: 1 });
    started.push(ours);

    const pages = Math.ceil(experiments / PAGE_SIZE) + 1;
    const sweepAfterSync = async (what: string, changed: number): Promise<Figure[]> => {
      const ms = await timed(ours.sweep);
      const { details, lists } = flagsmith.takeRequests();
      const requests = details.length + lists.length;
      const once = { turns: 1, range: [1, 1] as [number, number] };
      const expected = pages + changed;
      return [
        {
          ...once,
          what: `${what}: its requests`,
          against: "a page of a list or a changed experiment each",
          unit: "requests",
          ours: requests,
          reference: expected,
          ratio: requests / expected,
          goal: { bound: "max", ratio: 1 },
        },
        {
          ...once,
          what: `${what}: the whole sweep`,
          against: "the deadline of a sync",
          unit: "ms",
          ours: ms,
          reference: 40_000,
          ratio: ms / 40_000,
          goal: null,
        },
      ];
    };
    const first = await sweepAfterSync(`the first sync of ${experiments}`, experiments);
    await new Promise((resolve) => setTimeout(resolve, SYNC_INTERVAL_MS));
    const second = await sweepAfterSync("the next one, nothing changed", 0);
    return [...first, ...second];
  } finally {
    for (const part of started.reverse()) await part.stop();
    rmSync(folder, { recursive: true });
  }
}
