import { Webhook } from "standardwebhooks";
import * as z from "zod";

// The types of settings. A message completes a sentence that begins with the name of the setting. It never repeats the
// value, which may be a secret.

export const text = z.string({ error: "must be text" });

export function wholeNumber(unit: string, min: number, max: number) {
  return z.transform((value: string | number, context): number => {
    const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    context.addIssue(`must be a whole ${unit}, from ${min} to ${max}`);
    return z.NEVER;
  });
}

const MAX_SECONDS = 999_999_999;
export const seconds = (min = 0, max = MAX_SECONDS) => wholeNumber("number of seconds", min, max);

export const boolean = z.transform((value: string | boolean, context): boolean => {
  if (value === true || value === "true") return true;
  if (value !== false && value !== "false") context.addIssue("must be true or false");
  return false;
});

function httpUrl(error: string) {
  return z.string({ error }).transform((value, context) => {
    const url = URL.parse(value);
    if (url !== null && /^https?:$/.test(url.protocol)) return url;
    context.addIssue(error);
    return z.NEVER;
  });
}

const hasCredentials = ({ username, password }: URL) => username !== "" || password !== "";

const WAREHOUSE_URL_RULE = "must be an http:// or https:// URL without a query, like https://clickhouse.example:8443";
export const warehouseUrl = httpUrl(WAREHOUSE_URL_RULE)
  .refine(({ search, hash }) => search === "" && hash === "", WAREHOUSE_URL_RULE)
  .refine((url) => !hasCredentials(url), {
    error: "must not hold credentials: set CLICKHOUSE_USER and the secret CLICKHOUSE_PASSWORD instead",
  });

const ALERT_URL_RULE = "must be an http:// or https:// URL without a user, like https://alerts.example/hook";
// fetch refuses a URL with credentials.
export const alertUrl = httpUrl(ALERT_URL_RULE).refine((url) => !hasCredentials(url), ALERT_URL_RULE);

export const webhookSecret = text.refine((value) => {
  try {
    return new Webhook(value) instanceof Webhook;
  } catch {
    return false;
  }
}, "must be a Standard Webhooks secret: whsec_ followed by base64");

/** True for a host that only this machine can reach. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(hostname);
}

const isOrigin = (value: string) => !value.includes("*") && URL.parse(value)?.origin === value;
export const origins = text
  .transform((value) => value.split(",").flatMap((origin) => origin.trim() || []))
  .refine(
    (list) => list.every((origin) => origin === "*" || isOrigin(origin)),
    "must be origins with commas between them, like https://app.example, or *",
  );

const PUBLIC_URL_RULE = "must be an http:// or https:// URL without a path, like https://exposures.example";
export const publicUrl = z.string({ error: PUBLIC_URL_RULE }).transform((value, context): string | null => {
  if (value === "") return null;
  const url = URL.parse(value);
  if (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin;
  context.addIssue(PUBLIC_URL_RULE);
  return z.NEVER;
});

const HEADER_RULE = "must be the name of a header, like X-Real-IP";
export const headerName = z
  .string({ error: HEADER_RULE })
  .regex(/^[A-Za-z0-9-]*$/, HEADER_RULE)
  .transform((name) => name || null);
