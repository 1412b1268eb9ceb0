import * as z from "zod/mini";
import { isWebhookSecret } from "./standard-webhooks.ts";

// The types of settings. A message completes a sentence that begins with the name of the setting. It never repeats the
// value, which may be a secret.

export const text = z.string({ error: "must be a string" });

export const tableName = text.check(z.refine((value) => value.trim() !== "", "must be the name of a table"));

export function wholeNumber(unit: string, min: number, max: number) {
  return z.transform((value: string | number, { issues }): number => {
    const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    issues.push({ code: "custom", input: value, message: `must be a whole ${unit}, from ${min} to ${max}` });
    return z.NEVER;
  });
}

const MAX_SECONDS = 999_999_999;
export const seconds = (min = 0, max = MAX_SECONDS) => wholeNumber("number of seconds", min, max);

export const boolean = z.transform((value: string | boolean, { issues }): boolean => {
  if (value === true || value === "true") return true;
  if (value !== false && value !== "false")
    issues.push({ code: "custom", input: value, message: "must be true or false" });
  return false;
});

/** Text that is converted, or fails with the message if the result is undefined. */
function converted<Value>(message: string, convert: (value: string) => Value | undefined) {
  const conversion = z.transform((value: string, { issues }): Value => {
    const result = convert(value);
    if (result !== undefined) return result;
    issues.push({ code: "custom", input: value, message });
    return z.NEVER;
  });
  return z.pipe(z.string({ error: message }), conversion);
}

function parseHttpUrl(value: string): URL | undefined {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

const hasCredentials = ({ username, password }: URL) => username !== "" || password !== "";

const WAREHOUSE_URL_RULE = "must be an http:// or https:// URL without a query, like https://clickhouse.example:8443";
export const warehouseUrl = converted(WAREHOUSE_URL_RULE, parseHttpUrl).check(
  z.refine(({ search, hash }) => search === "" && hash === "", WAREHOUSE_URL_RULE),
  z.refine(
    (url) => !hasCredentials(url),
    "must not hold credentials: set CLICKHOUSE_USER and the secret CLICKHOUSE_PASSWORD instead",
  ),
);

const ALERT_URL_RULE = "must be an http:// or https:// URL without a user, like https://alerts.example/hook";
// fetch refuses a URL with credentials.
export const alertUrl = converted(ALERT_URL_RULE, parseHttpUrl).check(
  z.refine((url) => !hasCredentials(url), ALERT_URL_RULE),
);

const FLAGSMITH_URL_RULE =
  "must be the http:// or https:// URL of Flagsmith's API without a user or a query, like https://api.flagsmith.com/api/v1/";
export const flagsmithUrl = converted(FLAGSMITH_URL_RULE, (value) => {
  const url = parseHttpUrl(value);
  if (url === undefined || hasCredentials(url) || url.search !== "" || url.hash !== "") return undefined;
  return new URL(url.pathname.replace(/\/*$/, "/"), url);
});

/** True if an Authorization header can carry the text. */
const isTokenText = (value: string) => /^[!-~]+$/.test(value);

const TOKEN_RULE = "must be the token alone, in ASCII without spaces or line breaks";
export const token = text.check(z.refine(isTokenText, TOKEN_RULE));

const API_KEY_RULE = "must be the key alone, without spaces or the word Api-Key";
export const apiKey = converted(API_KEY_RULE, (value) => (isTokenText(value) ? value : undefined));

const ENVIRONMENTS_RULE = "must be client-side environment keys with commas between them";
export const environmentKeys = converted(ENVIRONMENTS_RULE, (value) => {
  const keys = [...new Set(value.split(",").flatMap((key) => key.trim() || []))];
  return keys.every((key) => /^[\w-]{1,100}$/.test(key)) ? keys : undefined;
});

export const webhookSecret = text.check(
  z.refine(isWebhookSecret, "must be a Standard Webhooks secret: whsec_ followed by base64"),
);

/** True for a host that only this machine can reach. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(hostname);
}

const isOrigin = (value: string) => !value.includes("*") && URL.parse(value)?.origin === value;
const ORIGINS_RULE = "must be origins with commas between them, like https://app.example, or *";
export const origins = z
  .pipe(
    text,
    z.transform((value: string) => value.split(",").flatMap((origin) => origin.trim() || [])),
  )
  .check(z.refine((list) => list.every((origin) => origin === "*" || isOrigin(origin)), ORIGINS_RULE));

const MAX_TRAITS = 10;
const TRAITS_RULE = `must be at most ${MAX_TRAITS} keys of traits with commas between them, like plan,country`;
/** Each key once. */
export const traitNames = z
  .pipe(
    text,
    z.transform((value: string) => [...new Set(value.split(",").flatMap((name) => name.trim() || []))]),
  )
  .check(z.refine((names) => names.length <= MAX_TRAITS, TRAITS_RULE));

const PUBLIC_URL_RULE = "must be an http:// or https:// URL without a path, like https://exposures.example";
export const publicUrl = converted(PUBLIC_URL_RULE, (value): string | null | undefined => {
  if (value === "") return null;
  const url = parseHttpUrl(value);
  return url?.href === `${url?.origin}/` ? url?.origin : undefined;
});

const HEADER_RULE = "must be the name of a header, like X-Real-IP";
export const headerName = converted(HEADER_RULE, (name) => (/^[A-Za-z0-9-]*$/.test(name) ? name || null : undefined));
