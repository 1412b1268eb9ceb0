import * as z from "zod/mini";
import {
  alertUrl,
  apiKey,
  boolean,
  environmentKeys,
  flagsmithUrl,
  headerName,
  origins,
  publicUrl,
  seconds,
  tableName,
  text,
  token,
  traitNames,
  warehouseUrl,
  webhookSecret,
  wholeNumber,
} from "./setting-types.ts";

export type SettingDoc = {
  kind: "var" | "secret";
  /** As in wrangler.toml; a secret has none. */
  default: string | number | boolean;
};

const docs = z.registry<SettingDoc>();

/** The interval of the Cron Trigger in wrangler.toml. */
const DEFAULT_SWEEP_SECONDS = 900;
/** A Cron Trigger runs for 15 minutes at most. This leaves a sweep three minutes to start refreshes. */
const MAX_QUERY_SECONDS = 600;

/** Drops empty values: shells and wrangler.toml have no other way to say that a setting is not set. */
export function withoutEmpty(env: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== "" && value !== null));
}

/** A setting with a default. */
export function variable<Value, Written extends string | number | boolean>(
  fallback: Written,
  schema: z.ZodMiniType<Value, Written>,
) {
  const doc: SettingDoc = { kind: "var", default: fallback };
  return z.prefault(schema, fallback).register(docs, doc);
}

/** A setting that is null until the operator sets it. */
function secret<Value>(schema: z.ZodMiniType<Value, string>) {
  const doc: SettingDoc = { kind: "secret", default: "" };
  return z._default(z.nullable(schema), null).register(docs, doc);
}

const alertFormat = z.enum(["standard", "slack"], { error: "must be standard or slack" });
const exposureSource = z.enum(["events", "states"], { error: "must be events or states" });

/** The condition of a check across settings: the named ones are valid, even if others are not. */
function areValid(...names: string[]) {
  return ({ issues }: z.core.ParsePayload) => issues.every(({ path }) => !names.includes(String(path?.[0])));
}

/** Each setting once: its default and its type. docs/configuration.md explains them. */
export const settingsSchema = z
  .object({
    CLICKHOUSE_URL: variable("http://127.0.0.1:8123", warehouseUrl),
    CLICKHOUSE_DATABASE: variable("default", text),
    CLICKHOUSE_USER: variable("default", text),
    CLICKHOUSE_PASSWORD: secret(text),
    ADMIN_TOKEN: secret(token),
    READ_TOKEN: secret(token),
    WEBHOOK_SECRET: secret(webhookSecret),
    FLAGSMITH_WEBHOOK_SECRET: secret(text),
    FLAGSMITH_API_KEY: secret(apiKey),
    FLAGSMITH_API_URL: variable("https://api.flagsmith.com/api/v1/", flagsmithUrl),
    FLAGSMITH_ENVIRONMENTS: variable("", environmentKeys),
    ALERT_WEBHOOK_URL: secret(alertUrl),
    ALERT_WEBHOOK_SECRET: secret(webhookSecret),
    ALERT_FORMAT: variable("standard", alertFormat),
    SESSION_SECRET: secret(text),
    EVENTS_TABLE: variable("events", tableName),
    EVENTS_TTL_DAYS: variable(90, wholeNumber("number of days", 0, 36_500)),
    EXPOSURE_SOURCE: variable("events", exposureSource),
    BREAKDOWN_TRAITS: variable("", traitNames),
    LONGEST_INSERT_SECONDS: variable(600, seconds()),
    REFRESH_MIN_INTERVAL_SECONDS: variable(300, seconds()),
    SETTLE_SECONDS: variable(3600, seconds()),
    QUERY_CONCURRENCY: variable(6, wholeNumber("number", 1, 100)),
    SWEEP_SECONDS: variable(
      DEFAULT_SWEEP_SECONDS,
      // The local run sets 0 for no sweeps.
      z.pipe(
        seconds(),
        z.transform((value: number) => value || DEFAULT_SWEEP_SECONDS),
      ),
    ),
    QUERY_TIMEOUT_SECONDS: variable(120, seconds(1, MAX_QUERY_SECONDS)),
    CACHE_SECONDS: variable(5, seconds()),
    PUBLIC_READ: variable(false, boolean),
    CORS_ORIGINS: variable("", origins),
    PUBLIC_URL: variable("", publicUrl),
    CLIENT_ADDRESS_HEADER: variable("", headerName),
  })
  .check(
    z.refine(({ ADMIN_TOKEN, READ_TOKEN }) => READ_TOKEN === null || READ_TOKEN !== ADMIN_TOKEN, {
      path: ["READ_TOKEN"],
      error: "must differ from ADMIN_TOKEN, because a token has one right",
      when: areValid("ADMIN_TOKEN", "READ_TOKEN"),
    }),
    z.refine(
      ({ FLAGSMITH_API_KEY: key, FLAGSMITH_ENVIRONMENTS: environments }) => key === null || environments.length > 0,
      {
        path: ["FLAGSMITH_ENVIRONMENTS"],
        error: "must name an environment, because FLAGSMITH_API_KEY is set",
        when: areValid("FLAGSMITH_API_KEY", "FLAGSMITH_ENVIRONMENTS"),
      },
    ),
    z.refine(
      ({ ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secret, ALERT_FORMAT: format }) =>
        url === null || secret !== null || format === "slack",
      {
        path: ["ALERT_WEBHOOK_URL"],
        error: "must not be set without ALERT_WEBHOOK_SECRET, which signs what is sent there",
        when: areValid("ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "ALERT_FORMAT"),
      },
    ),
    z.refine(({ ALERT_WEBHOOK_SECRET: secret, WEBHOOK_SECRET }) => secret === null || secret !== WEBHOOK_SECRET, {
      path: ["ALERT_WEBHOOK_SECRET"],
      error: "must differ from WEBHOOK_SECRET, with which the receiver of alerts could request refreshes",
      when: areValid("ALERT_WEBHOOK_SECRET", "WEBHOOK_SECRET"),
    }),
    z.refine(
      ({ EXPOSURE_SOURCE, QUERY_TIMEOUT_SECONDS }) =>
        EXPOSURE_SOURCE === "events" || QUERY_TIMEOUT_SECONDS <= MAX_QUERY_SECONDS / 2,
      {
        path: ["QUERY_TIMEOUT_SECONDS"],
        error: `must be at most ${MAX_QUERY_SECONDS / 2} with EXPOSURE_SOURCE = states, because a refresh fills states too`,
        when: areValid("EXPOSURE_SOURCE", "QUERY_TIMEOUT_SECONDS"),
      },
    ),
  );

/** The kind and default of each setting, in the order of the schema. */
export function describeSettings(): (SettingDoc & { name: string })[] {
  return Object.entries(settingsSchema.shape).flatMap(([name, schema]) => {
    const doc = docs.get(schema);
    return doc === undefined ? [] : [{ name, ...doc }];
  });
}
