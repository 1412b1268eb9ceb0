import { requestDelivery } from "./alerts/alerter.ts";
import { alertFailingRefreshes } from "./alerts/failing-refreshes.ts";
import { createApp } from "./app.ts";
import { openCachedD1 } from "./cloudflare/cached-d1.ts";
import type { Env } from "./cloudflare/env.ts";
import { createRateLimiter } from "./cloudflare/rate-limiter.ts";
import { alerterStub, dispatcherStub } from "./cloudflare/stubs.ts";
import { connectFlagsmith } from "./flagsmith/flagsmith-client.ts";
import { refuse } from "./http/problem.ts";
import { consoleLog, describeBug } from "./log.ts";
import { failed, ok } from "./result.ts";
import { isLoopback } from "./setting-types.ts";
import { describeProblems, findShortSecrets, parseSettings } from "./settings.ts";
import { connectWarehouse } from "./warehouse/client.ts";
import { createDiscovery } from "./warehouse/discovery.ts";

export { Alerter } from "./cloudflare/alerter-object.ts";
export { RefreshCoordinator } from "./cloudflare/coordinator-object.ts";
export { Dispatcher } from "./cloudflare/dispatcher-object.ts";

const BINDINGS = ["DB", "COORDINATOR", "DISPATCHER", "ALERTER", "FAILED_ATTEMPTS"] as const satisfies (keyof Env)[];

function wire(env: Env) {
  for (const binding of BINDINGS)
    if (!(binding in env)) return failed(`The binding ${binding} is missing. Add it to wrangler.toml.`);
  const settings = parseSettings({ ...env });
  if (!settings.ok) return failed(describeProblems(settings.failure));
  const { database, summaries } = openCachedD1(env.DB, settings.value);
  const warehouse = connectWarehouse(settings.value.warehouse);
  const { flagsmith } = settings.value;
  const alerts = alerterStub(env, settings.value);
  const app = createApp({
    settings: settings.value,
    database,
    summaries,
    dispatcher: { wake: (urgentId) => dispatcherStub(env).wake(urgentId) },
    flagsmith: flagsmith && {
      client: connectFlagsmith(flagsmith, { clock: Date.now, random: Math.random }),
      requestSync: () => dispatcherStub(env).requestSync(),
    },
    alerts,
    warehouse,
    discovery: createDiscovery(warehouse, settings.value.warehouse.queryTimeoutMs, Date.now),
    limiter: createRateLimiter(env.FAILED_ATTEMPTS),
    clock: Date.now,
    log: consoleLog,
  });
  return ok({ app, database, alerts, shortSecrets: describeProblems(findShortSecrets(settings.value)) });
}

type Wired = ReturnType<typeof wire>;
let wired: { env: Env; parts: Wired } | null = null;

/** Wires the parts once per isolate, whose bindings do not change. */
function partsFor(env: Env): Wired {
  if (wired?.env !== env) wired = { env, parts: wire(env) };
  return wired.parts;
}

export default {
  fetch(request, env) {
    const parts = partsFor(env);
    const detail = parts.ok ? shortSecretsFor(request, parts.value.shortSecrets) : parts.failure;
    if (parts.ok && detail === "")
      return parts.value.app.fetch(request, { address: request.headers.get("CF-Connecting-IP") ?? undefined });
    consoleLog("error", "settings.invalid", { detail });
    const isProbe = new URL(request.url).pathname === "/readyz";
    return refuse(isProbe ? { kind: "not_ready" } : { kind: "misconfigured", detail });
  },

  /** Throws if an experiment was not refreshed, so that the platform records a failed run. */
  async scheduled(controller, env) {
    const parts = partsFor(env);
    if (!parts.ok) {
      consoleLog("error", "settings.invalid", { detail: parts.failure });
      throw new Error(parts.failure);
    }
    const { database, alerts } = parts.value;
    await requestDelivery(alerts, consoleLog);
    const isComplete = await sweep(env, controller.scheduledTime);
    await alertFailingRefreshes({ database, alerts, log: consoleLog }, Date.now());
    if (!isComplete) throw new Error("The sweep did not refresh all experiments. See the log for the failures.");
  },
} satisfies ExportedHandler<Env>;

/** Short secrets suffice for the local run. No client can send a request with a loopback host to a deployed Worker. */
function shortSecretsFor(request: Request, shortSecrets: string): string {
  return shortSecrets === "" || isLoopback(new URL(request.url).hostname) ? "" : shortSecrets;
}

async function sweep(env: Env, now: number): Promise<boolean> {
  try {
    return await dispatcherStub(env).sweep(now);
  } catch (error) {
    consoleLog("error", "sweep.failed", { error: describeBug(error) });
    return false;
  }
}
