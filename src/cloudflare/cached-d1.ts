import type { D1Database } from "@cloudflare/workers-types";
import { createRecentSummaries } from "../store/summary-cache.ts";
import type { Settings } from "../settings.ts";
import type { Database, RecentSummaries } from "../store/database.ts";
import { openD1 } from "./d1.ts";

let recent: RecentSummaries | null = null;

/** D1, and what is remembered of it: the same for the Worker and the coordinators that live in one isolate with it. */
export function openDatabase(d1: D1Database, { cacheSeconds }: Settings): Database {
  recent ??= createRecentSummaries(cacheSeconds * 1000, Date.now);
  return { ...openD1(d1), recent };
}
