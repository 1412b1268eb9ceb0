import { failed, ok, type Result } from "../result.ts";
import { describeProblems, parseSettings, type Settings, settingNames } from "../settings.ts";

/** The settings of a local run, and with defaults of their own those of the Worker. */
export type Options = {
  port: number;
  warehousePort: number;
  stateDir: string;
  demo: boolean;
  sweepSeconds: number;
  /** True if the embedded warehouse is to be started. */
  embedded: boolean;
  /** What the Worker gets as its vars and secrets. */
  bindings: Record<string, string>;
  settings: Settings;
};

/** Known to everyone, and good enough for a server that only this machine can reach. */
const LOCAL_DEFAULTS = {
  ADMIN_TOKEN: "dev-admin",
  READ_TOKEN: "dev-read",
  WEBHOOK_SECRET: "whsec_ZGV2LXdlYmhvb2stc2VjcmV0LWZvci1sb2NhbC11c2U=",
  FLAGSMITH_WEBHOOK_SECRET: "dev-flagsmith",
  SESSION_SECRET: "dev-session-of-this-machine",
};

export function readOptions(env: NodeJS.ProcessEnv): Result<Options, string> {
  const problems: string[] = [];
  const wholeNumber = (name: string, fallback: number, least: number, most: number): number => {
    const value = env[name] || String(fallback);
    if (/^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    problems.push(`${name} must be a whole number from ${least} to ${most}`);
    return fallback;
  };
  const embedded = !env["CLICKHOUSE_URL"];
  const port = wholeNumber("PORT", 8787, 1, 65_535);
  const warehousePort = wholeNumber("WAREHOUSE_PORT", 8123, 1, 65_535);
  if (embedded && port === warehousePort) problems.push("PORT and WAREHOUSE_PORT must differ");
  const bindings: Record<string, string> = { ...LOCAL_DEFAULTS, CLICKHOUSE_URL: `http://127.0.0.1:${warehousePort}` };
  for (const name of settingNames) {
    const value = env[name];
    if (value) bindings[name] = value;
  }
  // Nobody's own ClickHouse is written to unasked.
  const demo = env["DEMO"] ? env["DEMO"] !== "0" : embedded;
  const sweepSeconds = wholeNumber("SWEEP_SECONDS", 60, 0, 86_400);
  bindings["SWEEP_SECONDS"] = String(sweepSeconds);
  const settings = parseSettings(bindings);
  if (!settings.ok) problems.push(describeProblems(settings.failure));
  if (problems.length > 0 || !settings.ok) return failed(problems.join("; "));
  return ok({
    port,
    warehousePort,
    stateDir: env["STATE_DIR"] || ".state",
    demo,
    sweepSeconds,
    embedded,
    bindings,
    settings: settings.value,
  });
}
