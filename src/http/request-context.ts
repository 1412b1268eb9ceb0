import { createMiddleware } from "hono/factory";
import type { Log } from "../log.ts";
import type { Caller } from "./caller.ts";

/** The context of a request, besides the request itself. */
export type AppEnv = {
  Bindings: {
    /** The peer's address, from the platform. */
    address?: string | undefined;
  };
  Variables: {
    /** The client's address, from the proxy header if one is configured. */
    address: string;
    /** Logs with the request's id. */
    log: Log;
    /** Set on routes that require authentication. */
    caller: Caller;
  };
};

export const REQUEST_ID = "X-Request-Id";

/** The request's id, for the response and the log: the client's own if it is well-formed, else a random one. */
export function requestIdOf(request: Request): string {
  const header = request.headers.get(REQUEST_ID);
  return header !== null && /^[\w=-]{1,255}$/.test(header) ? header : crypto.randomUUID();
}

/**
 * Sets the context of each request, and adds the request's id to the response.
 * @param addressHeader the header in which a proxy passes the client's address; null: there is no proxy
 */
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
