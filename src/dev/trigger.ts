import { get } from "node:http";
import { failed, ok, type Result } from "../result.ts";

/** The path of a local run that fires the Cron Trigger, which Miniflare also uses. */
export const TRIGGER_PATH = "/cdn-cgi/local/scheduled";

/**
 * Requests a URL that fires the Cron Trigger, and resolves when the sweep has ended, even if it failed. A failure is the
 * reason why the request was not answered. It does not use fetch, whose timeout is five minutes: a sweep may take fifteen.
 */
export function fireTrigger(trigger: URL): Promise<Result<null, string>> {
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve(failed(error.message));
    // A connection that is kept alive may be closed by the time of the next sweep.
    const request = get(trigger, { agent: false }, (response) => {
      response
        .resume()
        .on("end", () => resolve(ok(null)))
        .on("error", fail);
    });
    request.on("error", fail);
  });
}
