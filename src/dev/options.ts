import * as z from "zod/mini";
import { failed, ok, type Result } from "../result.ts";
import { wholeNumber } from "../setting-types.ts";
import { describeProblems, parseSettings, problemsOf, type Settings, settingNames } from "../settings.ts";
import { variable, withoutEmpty } from "../settings-schema.ts";

/** The options of the local run, and the Worker's settings with local defaults. */
export type Options = {
  port: number;
  warehousePort: number;
  stateDir: string;
  demo: boolean;
  sweepSeconds: number;
  /** True if the local run starts the embedded warehouse. */
  embedded: boolean;
  /** The Worker's vars and secrets. */
  bindings: Record<string, string>;
  settings: Settings;
};

/** These secrets are public. They suffice for a server that only this machine can reach. */
const LOCAL_DEFAULTS = {
  ADMIN_TOKEN: "dev-admin",
  READ_TOKEN: "dev-read",
  WEBHOOK_SECRET: "whsec_ZGV2LXdlYmhvb2stc2VjcmV0LWZvci1sb2NhbC11c2U=",
  ALERT_WEBHOOK_SECRET: "whsec_ZGV2LWFsZXJ0LXNlY3JldC1mb3ItbG9jYWwtdXNl",
  FLAGSMITH_WEBHOOK_SECRET: "dev-flagsmith",
  SESSION_SECRET: "dev-session-of-this-machine",
};

const port = wholeNumber("number", 1, 65_535);

const optionsSchema = z
  .object({
    PORT: variable(8787, port),
    WAREHOUSE_PORT: variable(8123, port),
    STATE_DIR: variable(".state", z.string()),
    DEMO: z.optional(z.enum(["0", "1"], { error: "must be 0 or 1" })),
    SWEEP_SECONDS: variable(60, wholeNumber("number of seconds", 0, 86_400)),
    CLICKHOUSE_URL: variable("", z.string()),
  })
  .check(
    z.refine(({ PORT, WAREHOUSE_PORT, CLICKHOUSE_URL }) => CLICKHOUSE_URL !== "" || PORT !== WAREHOUSE_PORT, {
      path: ["WAREHOUSE_PORT"],
      error: "must differ from PORT",
    }),
  );

/** Reads the options and the settings from the environment. A failure names all malformed variables. */
export function readOptions(env: NodeJS.ProcessEnv): Result<Options, string> {
  const parsed = optionsSchema.safeParse(withoutEmpty(env));
  const bindings: Record<string, string> = { ...LOCAL_DEFAULTS };
  for (const name of settingNames) {
    const value = env[name];
    // optionsSchema has its own SWEEP_SECONDS.
    if (value && name !== "SWEEP_SECONDS") bindings[name] = value;
  }
  if (parsed.success) {
    bindings["CLICKHOUSE_URL"] ??= `http://127.0.0.1:${parsed.data.WAREHOUSE_PORT}`;
    bindings["SWEEP_SECONDS"] = String(parsed.data.SWEEP_SECONDS);
  }
  const settings = parseSettings(bindings);
  if (!parsed.success || !settings.ok) {
    const problems = [...(parsed.success ? [] : problemsOf(parsed.error)), ...(settings.ok ? [] : settings.failure)];
    return failed(describeProblems(problems));
  }
  const { PORT, WAREHOUSE_PORT, STATE_DIR, DEMO, SWEEP_SECONDS, CLICKHOUSE_URL } = parsed.data;
  const embedded = CLICKHOUSE_URL === "";
  return ok({
    port: PORT,
    warehousePort: WAREHOUSE_PORT,
    stateDir: STATE_DIR,
    // The demo writes to ClickHouse, so one that belongs to the operator needs DEMO=1.
    demo: DEMO === undefined ? embedded : DEMO === "1",
    sweepSeconds: SWEEP_SECONDS,
    embedded,
    bindings,
    settings: settings.value,
  });
}
