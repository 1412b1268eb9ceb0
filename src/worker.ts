import { openDatabase } from "./cloudflare/database.ts";
import type { Env } from "./cloudflare/env.ts";
import { openLimiter } from "./cloudflare/limiter.ts";
import { createApp } from "./http/app.ts";
import { refuse } from "./http/problem.ts";
import { consoleLog } from "./log.ts";
import type { Coordinators } from "./refresh/coordinators.ts";
import { tidyWindows } from "./refresh/states.ts";
import { sweep } from "./refresh/sweep.ts";
import { failed, ok } from "./result.ts";
import { describeProblems, parseSettings } from "./settings.ts";
import { connectWarehouse } from "./warehouse/client.ts";

export { RefreshCoordinator } from "./cloudflare/coordinator.ts";

function wire(env: Env) {
  for (const binding of ["DB", "COORDINATOR", "FAILED_ATTEMPTS"] as const) {
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
  const tidy = async () => {
    if (states !== null) await tidyWindows({ ...states, database, warehouse, log: consoleLog });
  };
  return ok({ app, database, coordinators, tidy });
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

  /** Fails if any refresh failed, so that the platform shows it. */
  async scheduled(controller, env) {
    const parts = partsFor(env);
    if (!parts.ok) {
      consoleLog("error", "settings.invalid", { detail: parts.failure });
      throw new Error(parts.failure);
    }
    const { database, coordinators, tidy } = parts.value;
    const done = await sweep({ database, refresh: coordinators.refresh, log: consoleLog }, controller.scheduledTime);
    await tidy();
    if (!done) throw new Error("the sweep had failures: the log has each");
  },
} satisfies ExportedHandler<Env>;
