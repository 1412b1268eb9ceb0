import { Webhook } from "standardwebhooks";
import { failed, ok, type Result } from "./result.ts";

/** The receiver of alerts. */
export type AlertEndpoint = {
  url: URL;
  /** A Standard Webhooks secret. */
  secret: string;
};

export type StatesSettings = {
  /** The longest time that an insert into the events table takes. */
  longestInsertMs: number;
};

export type WarehouseSettings = {
  /** Scheme, host, port and, where a proxy wants one, a path. */
  url: URL;
  database: string;
  user: string;
  password: string;
  table: string;
  queryTimeoutMs: number;
};

export type Settings = {
  warehouse: WarehouseSettings;
  adminToken: string | null;
  readToken: string | null;
  publicRead: boolean;
  webhookSecret: string | null;
  /** Signs sessions and shared links; null: nobody can sign in on a page. */
  sessionSecret: string | null;
  /** Where alerts go; null: nowhere. */
  alertEndpoint: AlertEndpoint | null;
  flagsmithWebhookSecret: string | null;
  refreshMinIntervalMs: number;
  settleMs: number;
  /** How long the warehouse keeps events; 0: for good. */
  eventsTtlDays: number;
  /** So many refreshes of a sweep run at once. */
  sweepConcurrency: number;
  /** How often there is a sweep: pages call numbers old by it. */
  sweepMs: number;
  cacheSeconds: number;
  /** What `EXPOSURE_SOURCE = "states"` needs to know; null: identities are counted from the events. */
  states: StatesSettings | null;
  /** Whose pages may read: `*` for all. */
  corsOrigins: string[];
  /** The header in which a proxy names the address of whoever it forwards; null: there is no proxy. */
  clientAddressHeader: string | null;
};

/** Everything that `parseSettings` reads. */
export const settingNames = [
  "CLICKHOUSE_URL",
  "CLICKHOUSE_DATABASE",
  "CLICKHOUSE_USER",
  "CLICKHOUSE_PASSWORD",
  "ADMIN_TOKEN",
  "READ_TOKEN",
  "WEBHOOK_SECRET",
  "FLAGSMITH_WEBHOOK_SECRET",
  "ALERT_WEBHOOK_URL",
  "SESSION_SECRET",
  "EVENTS_TABLE",
  "EVENTS_TTL_DAYS",
  "EXPOSURE_SOURCE",
  "LONGEST_INSERT_SECONDS",
  "REFRESH_MIN_INTERVAL_SECONDS",
  "SETTLE_SECONDS",
  "SWEEP_CONCURRENCY",
  "SWEEP_SECONDS",
  "QUERY_TIMEOUT_SECONDS",
  "CACHE_SECONDS",
  "PUBLIC_READ",
  "CORS_ORIGINS",
  "CLIENT_ADDRESS_HEADER",
] as const;
type SettingName = (typeof settingNames)[number];

/** A setting that can't be used, in words that never repeat its value. */
export type SettingProblem = { setting: SettingName; message: string };

/** As the Cron Trigger in wrangler.toml. */
const SWEEP_SECONDS = 900;
/** No Cron Trigger lasts longer than 15 minutes. */
const LONGEST_QUERY_SECONDS = 900;

/**
 * Reads the settings that the README lists from a Worker's bindings or a process's environment.
 * One that is absent or empty is not set. All problems are reported at once.
 */
export function parseSettings(env: Readonly<Record<string, unknown>>): Result<Settings, SettingProblem[]> {
  const problems: SettingProblem[] = [];
  const reject = (setting: SettingName, message: string) => problems.push({ setting, message });

  function text(setting: SettingName): string | null {
    const value = env[setting];
    if (value === undefined || value === null || value === "") return null;
    if (typeof value === "string") return value;
    reject(setting, "must be text");
    return null;
  }

  function seconds(setting: SettingName, fallback: number, least: number, most = 999_999_999): number {
    return whole(setting, "number of seconds", fallback, least, most);
  }

  function whole(setting: SettingName, what: string, fallback: number, least: number, most: number): number {
    const value = env[setting];
    if (value === undefined || value === null || value === "") return fallback;
    const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= least && number <= most) return number;
    reject(setting, `must be a whole ${what}, from ${least} to ${most}`);
    return fallback;
  }

  function flag(setting: SettingName): boolean {
    const value = env[setting];
    if (value === undefined || value === null || value === "") return false;
    if (value === true || value === "true") return true;
    if (value !== false && value !== "false") reject(setting, "must be true or false");
    return false;
  }

  function states(): StatesSettings | null {
    const source = text("EXPOSURE_SOURCE") ?? "events";
    if (source !== "events" && source !== "states") reject("EXPOSURE_SOURCE", "must be events or states");
    const longestInsertMs = seconds("LONGEST_INSERT_SECONDS", 600, 0) * 1000;
    return source === "states" ? { longestInsertMs } : null;
  }

  function httpUrl(setting: SettingName, fallback: string): URL {
    const url = URL.parse(text(setting) ?? fallback);
    const clean = url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
    if (!clean)
      reject(setting, "must be an http:// or https:// URL without a query, like https://clickhouse.example:8443");
    else if (url.username !== "" || url.password !== "")
      reject(setting, "must not hold credentials: set CLICKHOUSE_USER and the secret CLICKHOUSE_PASSWORD instead");
    return url ?? new URL(fallback);
  }

  function origins(setting: SettingName): string[] {
    const list = (text(setting) ?? "").split(",").flatMap((origin) => origin.trim() || []);
    const isOrigin = (text: string) => !text.includes("*") && URL.parse(text)?.origin === text;
    if (!list.every((origin) => origin === "*" || isOrigin(origin)))
      reject(setting, "must be origins with commas between them, like https://app.example, or *");
    return list;
  }

  function headerName(setting: SettingName): string | null {
    const value = text(setting);
    if (value !== null && !/^[A-Za-z0-9-]+$/.test(value))
      reject(setting, "must be the name of a header, like X-Real-IP");
    return value;
  }

  function standardWebhookSecret(setting: SettingName): string | null {
    const value = text(setting);
    if (value === null) return null;
    try {
      new Webhook(value);
    } catch {
      reject(setting, "must be a Standard Webhooks secret: whsec_ followed by base64");
    }
    return value;
  }

  function alertEndpoint(secret: string | null): AlertEndpoint | null {
    const value = text("ALERT_WEBHOOK_URL");
    if (value === null) return null;
    const url = URL.parse(value);
    // fetch refuses a URL with credentials.
    if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
      reject(
        "ALERT_WEBHOOK_URL",
        "must be an http:// or https:// URL without a user, like https://alerts.example/hook",
      );
      return null;
    }
    if (secret !== null) return { url, secret };
    if (text("WEBHOOK_SECRET") === null)
      reject("ALERT_WEBHOOK_URL", "must not be set without WEBHOOK_SECRET, which signs what is sent there");
    return null;
  }

  const webhookSecret = standardWebhookSecret("WEBHOOK_SECRET");
  const settings: Settings = {
    warehouse: {
      url: httpUrl("CLICKHOUSE_URL", "http://127.0.0.1:8123"),
      database: text("CLICKHOUSE_DATABASE") ?? "default",
      user: text("CLICKHOUSE_USER") ?? "default",
      password: text("CLICKHOUSE_PASSWORD") ?? "",
      table: text("EVENTS_TABLE") ?? "events",
      queryTimeoutMs: seconds("QUERY_TIMEOUT_SECONDS", 120, 1, LONGEST_QUERY_SECONDS) * 1000,
    },
    adminToken: text("ADMIN_TOKEN"),
    readToken: text("READ_TOKEN"),
    publicRead: flag("PUBLIC_READ"),
    webhookSecret,
    alertEndpoint: alertEndpoint(webhookSecret),
    sessionSecret: text("SESSION_SECRET"),
    flagsmithWebhookSecret: text("FLAGSMITH_WEBHOOK_SECRET"),
    refreshMinIntervalMs: seconds("REFRESH_MIN_INTERVAL_SECONDS", 300, 0) * 1000,
    settleMs: seconds("SETTLE_SECONDS", 3600, 0) * 1000,
    eventsTtlDays: whole("EVENTS_TTL_DAYS", "number of days", 90, 0, 36_500),
    sweepConcurrency: whole("SWEEP_CONCURRENCY", "number", 6, 1, 100),
    sweepMs: (seconds("SWEEP_SECONDS", SWEEP_SECONDS, 0) || SWEEP_SECONDS) * 1000,
    cacheSeconds: seconds("CACHE_SECONDS", 5, 0),
    states: states(),
    corsOrigins: origins("CORS_ORIGINS"),
    clientAddressHeader: headerName("CLIENT_ADDRESS_HEADER"),
  };
  return problems.length === 0 ? ok(settings) : failed(problems);
}

/** The one line an operator reads: every bad setting, named. */
export function describeProblems(problems: readonly SettingProblem[]): string {
  return problems.map(({ setting, message }) => `${setting} ${message}`).join("; ");
}
