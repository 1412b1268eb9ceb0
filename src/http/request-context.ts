import { createMiddleware } from "hono/factory";
import type { Log } from "../log.ts";
import type { Caller } from "./authentication.ts";

/** What a request brings along, beside itself. */
export type AppEnv = {
  Bindings: {
    /** Of whoever is at the other end of the connection. */
    address?: string | undefined;
  };
  Variables: {
    /** Of whoever sent it, as far as we can tell. */
    address: string;
    /** Names the request on each line. */
    log: Log;
    /** Who has signed in, on the routes that ask for it. */
    caller: Caller;
  };
};

export const REQUEST_ID = "X-Request-Id";

/** How a request is named, in its answer and on each line of the log about it: as the caller does, or at random. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get(REQUEST_ID);
  return given !== null && /^[\w=-]{1,255}$/.test(given) ? given : crypto.randomUUID();
}

/** @param addressHeader in which a proxy says for whom it asks */
export function traceRequests(log: Log, addressHeader: string | null) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const requestId = requestIdOf(c.req.raw);
    const forwardedFor = addressHeader === null ? undefined : c.req.header(addressHeader);
    c.set("address", forwardedFor ?? c.env.address ?? "unknown");
    c.set("log", (level, event, fields) => log(level, event, { request_id: requestId, ...fields }));
    await next();
    c.res.headers.set(REQUEST_ID, requestId);
  });
}
