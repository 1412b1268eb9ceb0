import type { DurableObjectStorage } from "@cloudflare/workers-types";
import type { Alarm } from "../alarm.ts";

/** The alarm of a Durable Object. It is durable, and fires at least once. */
export function storageAlarm(storage: DurableObjectStorage): Alarm {
  return {
    get: () => storage.getAlarm(),
    set: (at) => storage.setAlarm(at),
    clear: () => storage.deleteAlarm(),
  };
}
