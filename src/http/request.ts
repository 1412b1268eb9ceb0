import { createMiddleware } from "hono/factory";
import { requestId } from "hono/request-id";
import type { Log } from "../log.ts";
import type { Caller } from "./sign-in.ts";

/** What a request brings along, beside itself. */
export type AppEnv = {
  Bindings: {
    /** Of whoever is at the other end of the connection. */
    address?: string | undefined;
  };
  Variables: {
    requestId: string;
    /** Of whoever sent it, as far as we can tell. */
    address: string;
    /** Names the request on each line. */
    log: Log;
    /** Who has signed in, on the routes that ask for it. */
    caller: Caller;
  };
};

/**
 * Names every request, in its answer and on each line of the log about it: as the caller does, or at random.
 * @param addressHeader in which a proxy says for whom it asks
 */
export function traceRequests(log: Log, addressHeader: string | null) {
  const name = requestId();
  return createMiddleware<AppEnv>(async (c, next) => {
    await name(c, async () => {
      const { requestId } = c.var;
      const forwardedFor = addressHeader === null ? undefined : c.req.header(addressHeader);
      c.set("address", forwardedFor ?? c.env.address ?? "unknown");
      c.set("log", (level, event, fields) => log(level, event, { request_id: requestId, ...fields }));
      await next();
      c.res.headers.set("X-Request-Id", requestId);
    });
  });
}
