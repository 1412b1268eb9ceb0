import { statusAt } from "../experiment.ts";
import type { StoredSummary } from "../store/summaries.ts";

/** The ETag of an exposures response. It covers the row's version and the status, which changes with time alone. */
export function exposuresETag({ experiment, version }: StoredSummary, now: number): string {
  return `"${experiment.createdAt.toString(36)}-${version}-${statusAt(experiment, now)}"`;
}

/** Checks whether an `If-None-Match` header contains the tag, by the weak comparison of RFC 9110, section 13.1.2. */
export function matchesETag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch === etag || ifNoneMatch.trim() === "*") return true;
  const tags = ifNoneMatch.matchAll(/(?:^|,)\s*(?:W\/)?("[^"]*")(?=\s*(?:,|$))/g);
  return tags.some(([, tag]) => tag === etag);
}
