import type { D1Database } from "@cloudflare/workers-types";
import type { Settings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import {
  createSummaryCache,
  invalidateAfter,
  type Summaries,
  type SummaryCache,
  summariesThrough,
} from "../store/summary-cache.ts";
import { openD1 } from "./d1.ts";

let cache: SummaryCache | null = null;

/** D1 behind a summary cache, which the Worker shares with the coordinators in its isolate. */
export function openCachedD1(d1: D1Database, { cacheSeconds }: Settings): { database: Database; summaries: Summaries } {
  cache ??= createSummaryCache(cacheSeconds * 1000, Date.now);
  const database = invalidateAfter(openD1(d1), cache);
  return { database, summaries: summariesThrough(cache, database) };
}
