import { type ClientDeps, connectFlagsmith } from "../flagsmith/flagsmith-client.ts";
import { type SyncDeps, syncFlagsmith } from "../flagsmith/sync.ts";
import { createSyncRequests } from "../flagsmith/sync-requests.ts";
import { syncSlice } from "../flagsmith/sync-slice.ts";
import type { FlagsmithSettings } from "../settings.ts";

/** Syncs with Flagsmith in this process. */
export function openFlagsmith(
  settings: FlagsmithSettings,
  deps: ClientDeps & Pick<SyncDeps, "database" | "dispatcher" | "clock" | "log">,
) {
  const client = connectFlagsmith(settings, deps);
  const slices = { ...deps, client };
  const syncs = createSyncRequests(() =>
    syncFlagsmith({
      ...slices,
      environments: settings.environments,
      syncSlice: (slice) => syncSlice(slices, slice),
    }),
  );
  return { client, syncs, requestSync: async () => syncs.request() };
}
