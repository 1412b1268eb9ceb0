import { askForDelivery } from "./alerts/alerter.ts";
import { reachAlerter } from "./cloudflare/alerter-object.ts";
import { openDatabase } from "./cloudflare/cached-d1.ts";
import type { Env } from "./cloudflare/env.ts";
import { openLimiter } from "./cloudflare/rate-limiter.ts";
import { SWEEPER } from "./cloudflare/sweeper-object.ts";
import { createApp } from "./app.ts";
import { refuse } from "./http/problem.ts";
import { consoleLog, describeBug } from "./log.ts";
import type { Coordinators } from "./refresh/coordinator-types.ts";
import { tidyWindows } from "./refresh/state-upkeep.ts";
import { failed, ok } from "./result.ts";
import { describeProblems, parseSettings } from "./settings.ts";
import { connectWarehouse } from "./warehouse/client.ts";

export { Alerter } from "./cloudflare/alerter-object.ts";
export { RefreshCoordinator } from "./cloudflare/coordinator-object.ts";
export { Sweeper } from "./cloudflare/sweeper-object.ts";

function wire(env: Env) {
  for (const binding of ["DB", "COORDINATOR", "SWEEPER", "ALERTER", "FAILED_ATTEMPTS"] as const) {
    if (!(binding in env)) return failed(`${binding} is not bound: see wrangler.toml`);
  }
  const settings = parseSettings({ ...env });
  if (!settings.ok) return failed(describeProblems(settings.failure));
  const database = openDatabase(env.DB, settings.value);
  const coordinators: Coordinators = {
    refresh: (experimentId, now) => env.COORDINATOR.getByName(experimentId).refresh(experimentId, now),
    ask: (experimentId, ask) => env.COORDINATOR.getByName(experimentId).ask(experimentId, ask),
  };
  const warehouse = connectWarehouse(settings.value.warehouse);
  const app = createApp({
    settings: settings.value,
    database,
    coordinators,
    warehouse,
    limiter: openLimiter(env.FAILED_ATTEMPTS),
    clock: Date.now,
    log: consoleLog,
  });
  const { states } = settings.value;
  const alerts = reachAlerter(env.ALERTER, settings.value);
  const afterSweep = async () => {
    if (states !== null) await tidyWindows({ ...states, database, warehouse, log: consoleLog });
    await askForDelivery(alerts, consoleLog);
  };
  return ok({ app, afterSweep });
}

type Wired = ReturnType<typeof wire>;
let wired: { env: Env; parts: Wired } | null = null;

/** Wired once for an isolate: its bindings do not change. */
function partsFor(env: Env): Wired {
  if (wired?.env !== env) wired = { env, parts: wire(env) };
  return wired.parts;
}

export default {
  fetch(request, env) {
    const parts = partsFor(env);
    if (parts.ok)
      return parts.value.app.fetch(request, { address: request.headers.get("CF-Connecting-IP") ?? undefined });
    consoleLog("error", "settings.invalid", { detail: parts.failure });
    return refuse({ kind: "misconfigured", detail: parts.failure });
  },

  /** Fails if not all was refreshed, so that the platform shows it. */
  async scheduled(controller, env) {
    const parts = partsFor(env);
    if (!parts.ok) {
      consoleLog("error", "settings.invalid", { detail: parts.failure });
      throw new Error(parts.failure);
    }
    const done = await sweep(env, controller.scheduledTime);
    await parts.value.afterSweep();
    if (!done) throw new Error("the sweep did not refresh all: the log has what failed");
  },
} satisfies ExportedHandler<Env>;

async function sweep(env: Env, now: number): Promise<boolean> {
  try {
    return await env.SWEEPER.getByName(SWEEPER).sweep(now);
  } catch (error) {
    consoleLog("error", "sweep.failed", { error: describeBug(error) });
    return false;
  }
}
