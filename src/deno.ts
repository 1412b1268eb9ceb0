import { runService } from "./deno/run.ts";
import { SWEEP_SCHEDULE } from "./refresh/sweep.ts";

// The entry for `deno serve`.

/** Deno's own scheduler, where its flag --unstable-cron is set. */
declare const Deno: { cron?: (name: string, schedule: string, handler: () => Promise<void>) => Promise<void> };

const service = await runService();
const sweep = async () => void (await service.sweep(Date.now()));

if (Deno.cron !== undefined) {
  void Deno.cron("sweep", SWEEP_SCHEDULE, sweep);
} else {
  const everyMinutes = Number(/^\*\/(\d+) /.exec(SWEEP_SCHEDULE)?.[1]);
  setInterval(() => void sweep(), everyMinutes * 60_000);
}

export default { fetch: service.fetch };
