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
  text,
  traitNames,
  warehouseUrl,
  webhookSecret,
  wholeNumber,
} from "./setting-types.ts";

export type SettingDoc = {
  kind: "var" | "secret";
  /** As in wrangler.toml; a secret has none. */
  default: string | number | boolean;
  description: string;
};

const docs = z.registry<SettingDoc>();

/** As the Cron Trigger in wrangler.toml. */
const DEFAULT_SWEEP_SECONDS = 900;
/** A Cron Trigger runs for 15 minutes at most. This leaves a sweep three of them to start refreshes. */
const MAX_QUERY_SECONDS = 600;

/** Drops empty values: shells and wrangler.toml have no other way to say that a setting is not set. */
export function withoutEmpty(env: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== "" && value !== null));
}

/** A setting with a default. */
export function variable<Value, Written extends string | number | boolean>(
  fallback: Written,
  schema: z.ZodMiniType<Value, Written>,
  description: string,
) {
  const doc: SettingDoc = { kind: "var", default: fallback, description };
  return z.prefault(schema, fallback).register(docs, doc);
}

/** A setting that is null until the operator sets it. */
function secret<Value>(schema: z.ZodMiniType<Value, string>, description: string) {
  const doc: SettingDoc = { kind: "secret", default: "", description };
  return z._default(z.nullable(schema), null).register(docs, doc);
}

const alertFormat = z.enum(["standard", "slack"], { error: "must be standard or slack" });
const exposureSource = z.enum(["events", "states"], { error: "must be events or states" });

/** The condition for a check of several settings: these are valid, whatever else is wrong. */
function areValid(...names: string[]) {
  return ({ issues }: z.core.ParsePayload) => issues.every(({ path }) => !names.includes(String(path?.[0])));
}

/** Each setting once: its default, type and description. */
export const settingsSchema = z
  .object({
    CLICKHOUSE_URL: variable(
      "http://127.0.0.1:8123",
      warehouseUrl,
      "ClickHouse's HTTP interface: scheme, host, port and, behind a proxy, a path.",
    ),
    CLICKHOUSE_DATABASE: variable("default", text, "The database of the events table."),
    CLICKHOUSE_USER: variable("default", text, "A user with SELECT on the events table and readonly = 2."),
    CLICKHOUSE_PASSWORD: secret(text, "The password of that user."),
    ADMIN_TOKEN: secret(text, "A token that may read and write everything."),
    READ_TOKEN: secret(text, "A token that may read everything."),
    WEBHOOK_SECRET: secret(webhookSecret, "Verifies calls of /webhooks/refresh: whsec_ and base64."),
    FLAGSMITH_WEBHOOK_SECRET: secret(text, "Verifies the webhooks of Flagsmith, where it is entered too."),
    FLAGSMITH_API_KEY: secret(apiKey, "Reads experiments from Flagsmith: an API key of its organisation."),
    FLAGSMITH_API_URL: variable("https://api.flagsmith.com/api/v1/", flagsmithUrl, "Flagsmith's API."),
    FLAGSMITH_ENVIRONMENTS: variable(
      "",
      environmentKeys,
      "The environments whose experiments come from Flagsmith: their keys with commas between them.",
    ),
    ALERT_WEBHOOK_URL: secret(alertUrl, "The receiver of alerts."),
    ALERT_WEBHOOK_SECRET: secret(webhookSecret, "Signs alerts, unless ALERT_FORMAT is slack: whsec_ and base64."),
    ALERT_FORMAT: variable("standard", alertFormat, "The format of alerts: standard, for Standard Webhooks, or slack."),
    SESSION_SECRET: secret(text, "Signs the panel's sessions and shared links. Without it, nobody can sign in."),
    EVENTS_TABLE: variable("events", text, "The events table, or the Distributed table over it."),
    EVENTS_TTL_DAYS: variable(
      90,
      wholeNumber("number of days", 0, 36_500),
      "The TTL of the events table in days; 0: events are kept for good.",
    ),
    EXPOSURE_SOURCE: variable("events", exposureSource, "The source of the counts: events, or states."),
    BREAKDOWN_TRAITS: variable(
      "",
      traitNames,
      "The keys of traits whose values are looked at for the cause of bad health, with commas between them; at most 10.",
    ),
    LONGEST_INSERT_SECONDS: variable(
      600,
      seconds(),
      "For states: the longest time that an insert into the events table may take.",
    ),
    REFRESH_MIN_INTERVAL_SECONDS: variable(
      300,
      seconds(),
      "The shortest time between two refreshes of an experiment that calls or webhooks request.",
    ),
    SETTLE_SECONDS: variable(3600, seconds(), "How long after an experiment's end late events still count."),
    QUERY_CONCURRENCY: variable(
      6,
      wholeNumber("number", 1, 100),
      "The max number of refreshes at once, each with one query: the load on ClickHouse of the whole installation.",
    ),
    SWEEP_SECONDS: variable(
      DEFAULT_SWEEP_SECONDS,
      // The local run sets 0 for no sweeps.
      z.pipe(
        seconds(),
        z.transform((value: number) => value || DEFAULT_SWEEP_SECONDS),
      ),
      "The interval of the Cron Trigger in wrangler.toml. Pages call numbers stale by it.",
    ),
    QUERY_TIMEOUT_SECONDS: variable(
      120,
      seconds(1, MAX_QUERY_SECONDS),
      "The deadline of a ClickHouse query, through the last byte of its answer.",
    ),
    CACHE_SECONDS: variable(5, seconds(), "How long the service and its clients may cache exposures; 0: never."),
    PUBLIC_READ: variable(false, boolean, "true opens every read to anyone, without a token."),
    CORS_ORIGINS: variable("", origins, "The origins whose pages may read, with commas between them; * for all."),
    PUBLIC_URL: variable(
      "",
      publicUrl,
      "The origin at which clients reach the service, if a proxy hides it. Cloudflare needs none.",
    ),
    CLIENT_ADDRESS_HEADER: variable(
      "",
      headerName,
      "The header in which a proxy names the client's address, like X-Real-IP. Cloudflare needs none.",
    ),
  })
  .check(
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

/** The documentation of each setting, in the order of the schema. */
export function describeSettings(): (SettingDoc & { name: string })[] {
  return Object.entries(settingsSchema.shape).flatMap(([name, schema]) => {
    const doc = docs.get(schema);
    return doc === undefined ? [] : [{ name, ...doc }];
  });
}
