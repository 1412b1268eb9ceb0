import { runService } from "./deno/run.ts";
import { SWEEP_MINUTES, SWEEP_SCHEDULE } from "./refresh/sweep-times.ts";

// The entry for `deno serve`.

/** Deno's own scheduler, which exists only with the flag --unstable-cron. */
declare const Deno: {
  cron?: (
    name: string,
    schedule: string,
    options: { signal: AbortSignal },
    sweep: () => Promise<void>,
  ) => Promise<void>;
};

const { service, stopping, onListen } = await runService();
const sweep = async () => void (await service.sweep(Date.now()));

if (Deno.cron !== undefined) {
  void Deno.cron("sweep", SWEEP_SCHEDULE, { signal: stopping }, sweep);
} else {
  const timer = setInterval(() => void sweep(), SWEEP_MINUTES * 60_000);
  stopping.addEventListener("abort", () => clearInterval(timer));
}

export default { fetch: service.fetch, onListen };
