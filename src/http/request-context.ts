import { createMiddleware } from "hono/factory";
import type { Log } from "../log.ts";
import type { Caller } from "./caller.ts";

/** What routes know of a request beside the request itself. */
export type AppEnv = {
  Bindings: {
    /** The address of the peer, as the platform knows it. */
    address?: string | undefined;
  };
  Variables: {
    /** The client's address, from the proxy header if one is configured. */
    address: string;
    /** Adds the request's id to each line. */
    log: Log;
    /** Set on routes that require authentication. */
    caller: Caller;
  };
};

export const REQUEST_ID = "X-Request-Id";

/** The request's id, for its response and for the log: the client's own if it is well-formed, else a random one. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get(REQUEST_ID);
  return given !== null && /^[\w=-]{1,255}$/.test(given) ? given : crypto.randomUUID();
}

/** @param addressHeader the header in which a proxy passes the client's address; null: there is no proxy */
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
