import { SYNC_INTERVAL_MS } from "./sync.ts";

/** Syncs with Flagsmith on request, in one process. */
export type SyncRequests = {
  /** Returns at once. Requests that come during a sync or within a minute after it share one further sync. */
  request(): void;
  /** Runs a sync now, or none if one began less than a minute ago. */
  run(): Promise<void>;
  /** Starts no more syncs, and resolves when the one in flight has ended. */
  stop(): Promise<void>;
};

/**
 * Creates the requests of one process.
 * @param sync runs a sync and returns 0, or returns the time to wait in milliseconds; never throws
 */
export function createSyncRequests(sync: () => Promise<number>): SyncRequests {
  let inFlight: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isRequested = false;
  let isStopped = false;

  function start(): Promise<void> {
    if (inFlight !== null) return inFlight;
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const wasRequested = isRequested;
    isRequested = false;
    inFlight = sync().then((wait) => {
      inFlight = null;
      isRequested ||= wasRequested && wait > 0;
      if (isRequested && !isStopped) timer = setTimeout(start, wait || SYNC_INTERVAL_MS);
    });
    return inFlight;
  }

  return {
    request() {
      if (isStopped) return;
      isRequested = true;
      if (timer === null) void start();
    },
    run: () => (isStopped ? Promise.resolve() : start()),
    async stop() {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
      await inFlight;
    },
  };
}
