import { decodeBase64Url, encodeBase64Url } from "hono/utils/encode";
import { DAY } from "../exposures/buckets.ts";
import { signHmac, verifyHmac } from "../hmac.ts";

/** The kinds of content that a link can open. Each link opens one, of one experiment. */
export const shareKinds = ["page", "svg", "csv", "causes.csv", "results.svg", "results.csv"] as const;
export type ShareKind = (typeof shareKinds)[number];

/** The kinds that are files, with their names in the API. The first two are older than results. */
export const downloadNames = {
  svg: "exposures.svg",
  csv: "exposures.csv",
  "causes.csv": "causes.csv",
  "results.svg": "results.svg",
  "results.csv": "results.csv",
} as const satisfies Record<Exclude<ShareKind, "page">, string>;
export type DownloadKind = keyof typeof downloadNames;

const MAX_DAYS = 90;

export type ShareLink = {
  kind: ShareKind;
  experimentId: string;
  /** The experiment's environment. A link stops working when the experiment moves, or is recreated elsewhere. */
  environmentKey: string;
  /** The last day on which the link works, in UTC: `2026-12-31`. */
  until: string;
  /** Refers to the credential of the visitor who created the link. The link ends with it. */
  by: string;
};

/** Signs a link. Replacing the secret invalidates all links. */
export async function signShareLink(secret: string, link: ShareLink): Promise<string> {
  return encodeBase64Url((await signHmac(secret, contentOf(link))).buffer).replaceAll("=", "");
}

/** Returns whether the signature is valid and the link has not expired. Compares in constant time. */
export async function verifyShareLink(
  secret: string,
  link: ShareLink,
  signature: string,
  now: number,
): Promise<boolean> {
  // A 256-bit signature has 43 characters. Others could make the decoder throw.
  if (isPast(link.until, now) || !/^[\w-]{43}$/.test(signature)) return false;
  return verifyHmac(secret, contentOf(link), decodeBase64Url(signature));
}

/** Returns whether a path has the query of a share link, valid or not. */
export const isShareLink = (path: string) => /[?&]signature=/.test(path);

/** Returns whether the day is over in UTC. Anything but a valid date is past. */
export function isPast(day: string, now: number): boolean {
  return !/^\d{4}-\d\d-\d\d$/.test(day) || !(now < Date.parse(`${day}T24:00:00.000Z`));
}

/**
 * The last day that a new link may have, in UTC.
 * @param expiresAt when the credential of its maker expires, in epoch milliseconds; null: never
 */
export function lastShareDay(now: number, expiresAt: number | null): string {
  return dayOf(Math.min(now + MAX_DAYS * DAY, (expiresAt ?? Number.POSITIVE_INFINITY) - 1));
}

/** The day of a time, in UTC. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The signed content. Its prefix keeps the signature from being valid for anything else that the secret signs. */
function contentOf({ kind, experimentId, environmentKey, until, by }: ShareLink): string {
  return JSON.stringify(["share", kind, experimentId, environmentKey, until, by]);
}
