import * as z from "zod/mini";
import { failed, ok, type Result } from "./result.ts";
import { isLoopback } from "./setting-types.ts";
import { settingsSchema, withoutEmpty } from "./settings-schema.ts";

export type WarehouseSettings = {
  /** Scheme, host, port and, behind a proxy, a path. */
  url: URL;
  database: string;
  user: string;
  password: string;
  table: string;
  queryTimeoutMs: number;
};

export type AlertEndpoint = { url: URL } & (
  | {
      format: "standard";
      /** A Standard Webhooks secret. */
      secret: string;
    }
  | { format: "slack" }
);

export type FlagsmithSettings = {
  /** Ends with a slash. */
  apiUrl: URL;
  apiKey: string;
  /** The keys of the environments to sync, at least one. */
  environments: readonly string[];
};

export type StatesSettings = {
  /** The longest time that an insert into the events table may take. */
  longestInsertMs: number;
};

export type Settings = {
  warehouse: WarehouseSettings;
  adminToken: string | null;
  readToken: string | null;
  publicRead: boolean;
  webhookSecret: string | null;
  /** Signs sessions and shared links; null: nobody can sign in to the panel. */
  sessionSecret: string | null;
  /** The receiver of alerts; null: none are sent. */
  alertEndpoint: AlertEndpoint | null;
  flagsmithWebhookSecret: string | null;
  /** Set with FLAGSMITH_API_KEY; null: nothing is synced. */
  flagsmith: FlagsmithSettings | null;
  refreshMinIntervalMs: number;
  settleMs: number;
  /** The days until the warehouse deletes an event; 0: never. */
  eventsTtlDays: number;
  /** The max number of refreshes at once, in the whole installation. */
  queryConcurrency: number;
  /** The interval between sweeps, by which pages judge whether numbers are stale. */
  sweepMs: number;
  cacheSeconds: number;
  /** Set for `EXPOSURE_SOURCE = "states"`; null: identities are counted from the events. */
  states: StatesSettings | null;
  /** The keys of `traits` by which identities are broken down to explain a failing check. */
  breakdownTraits: string[];
  /** The origins whose pages may read: `*` for all. */
  corsOrigins: string[];
  /** The origin at which clients reach the service; null: as in their requests. */
  publicUrl: string | null;
  /** The header in which a proxy names the client's address; null: there is no proxy. */
  clientAddressHeader: string | null;
};

/** The names that `parseSettings` reads. */
export const settingNames = z.keyof(settingsSchema).options;

/** An unusable setting. The message never repeats its value. */
export type SettingProblem = { setting: string; message: string };

/**
 * Reads the settings of docs/configuration.md from a Worker's bindings or a process's environment. An absent or empty
 * one is not set. All problems are reported at once.
 */
export function parseSettings(env: Readonly<Record<string, unknown>>): Result<Settings, SettingProblem[]> {
  const parsed = settingsSchema.safeParse(withoutEmpty(env));
  if (!parsed.success) return failed(problemsOf(parsed.error));
  const values = parsed.data;
  const { PUBLIC_URL: publicUrl } = values;
  const settings: Settings = {
    warehouse: {
      url: values.CLICKHOUSE_URL,
      database: values.CLICKHOUSE_DATABASE,
      user: values.CLICKHOUSE_USER,
      password: values.CLICKHOUSE_PASSWORD ?? "",
      table: values.EVENTS_TABLE,
      queryTimeoutMs: values.QUERY_TIMEOUT_SECONDS * 1000,
    },
    adminToken: values.ADMIN_TOKEN,
    readToken: values.READ_TOKEN,
    publicRead: values.PUBLIC_READ,
    webhookSecret: values.WEBHOOK_SECRET,
    alertEndpoint: alertEndpointOf(values),
    sessionSecret: values.SESSION_SECRET,
    flagsmithWebhookSecret: values.FLAGSMITH_WEBHOOK_SECRET,
    flagsmith: flagsmithOf(values),
    refreshMinIntervalMs: values.REFRESH_MIN_INTERVAL_SECONDS * 1000,
    settleMs: values.SETTLE_SECONDS * 1000,
    eventsTtlDays: values.EVENTS_TTL_DAYS,
    queryConcurrency: values.QUERY_CONCURRENCY,
    sweepMs: values.SWEEP_SECONDS * 1000,
    cacheSeconds: values.CACHE_SECONDS,
    states: values.EXPOSURE_SOURCE === "states" ? { longestInsertMs: values.LONGEST_INSERT_SECONDS * 1000 } : null,
    breakdownTraits: values.BREAKDOWN_TRAITS,
    corsOrigins: values.CORS_ORIGINS,
    publicUrl,
    clientAddressHeader: values.CLIENT_ADDRESS_HEADER,
  };
  const short = publicUrl === null || isLoopback(new URL(publicUrl).hostname) ? [] : findShortSecrets(settings);
  return short.length > 0 ? failed(short) : ok(settings);
}

function alertEndpointOf(values: z.infer<typeof settingsSchema>): AlertEndpoint | null {
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secret, ALERT_FORMAT: format } = values;
  if (url === null) return null;
  if (format === "slack") return { url, format };
  return secret === null ? null : { url, format, secret };
}

function flagsmithOf(values: z.infer<typeof settingsSchema>): FlagsmithSettings | null {
  const { FLAGSMITH_API_URL: apiUrl, FLAGSMITH_API_KEY: apiKey, FLAGSMITH_ENVIRONMENTS: environments } = values;
  return apiKey === null ? null : { apiUrl, apiKey, environments };
}

/** The secrets that are too short for a service that other machines can reach. */
export function findShortSecrets({ adminToken, readToken, sessionSecret }: Settings): SettingProblem[] {
  const secrets = [
    { setting: "ADMIN_TOKEN", secret: adminToken, min: 16 },
    { setting: "READ_TOKEN", secret: readToken, min: 16 },
    { setting: "SESSION_SECRET", secret: sessionSecret, min: 32 },
  ];
  return secrets.flatMap(({ setting, secret, min }) => {
    if (secret === null || secret.length >= min) return [];
    return [{ setting, message: `must have at least ${min} characters, unless only this machine reaches the service` }];
  });
}

/** The first problem of each setting. */
export function problemsOf(error: z.core.$ZodError): SettingProblem[] {
  const messages = new Map<string, string>();
  for (const { path, message } of error.issues) {
    const setting = String(path[0]);
    if (!messages.has(setting)) messages.set(setting, message);
  }
  return [...messages].map(([setting, message]) => ({ setting, message }));
}

/** The one line for the operator: each unusable setting by name. */
export function describeProblems(problems: readonly SettingProblem[]): string {
  return problems.map(({ setting, message }) => `${setting} ${message}`).join("; ");
}
