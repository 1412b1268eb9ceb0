import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Log } from "../log.ts";
import type { Settings } from "../settings.ts";
import type { Caller } from "./caller.ts";
import { securityHeaders } from "./security-headers.ts";

/** The context of a request, besides the request itself. */
export type AppEnv = {
  Bindings: {
    /** The peer's address, from the platform. */
    address?: string | undefined;
  };
  Variables: {
    /** The client's address, from the proxy header if one is configured. */
    address: string;
    /** PUBLIC_URL. */
    publicUrl: string | null;
    /** Logs with the request's id. */
    log: Log;
    /** Set on routes that require authentication. */
    caller: Caller;
  };
};

/** The origin at which clients reach the service: PUBLIC_URL, else as in the request. */
export function originOf(c: Context<AppEnv>): string {
  return c.var.publicUrl ?? new URL(c.req.url).origin;
}

export const REQUEST_ID = "X-Request-Id";

/** The request's id, for the response and the log: the client's own if it is well-formed, else a random one. */
export function requestIdOf(request: Request): string {
  const header = request.headers.get(REQUEST_ID);
  return header !== null && /^[\w=-]{1,255}$/.test(header) ? header : crypto.randomUUID();
}

/** Sets the context of each request, and adds the request's id and the security headers to the response. */
export function traceRequests(log: Log, settings: Pick<Settings, "clientAddressHeader" | "publicUrl">) {
  const { clientAddressHeader, publicUrl } = settings;
  return createMiddleware<AppEnv>(async (c, next) => {
    const requestId = requestIdOf(c.req.raw);
    const forwardedFor = clientAddressHeader === null ? undefined : c.req.header(clientAddressHeader);
    c.set("address", forwardedFor ?? c.env.address ?? "unknown");
    c.set("publicUrl", publicUrl);
    c.set("log", (level, event, fields) => log(level, event, { request_id: requestId, ...fields }));
    await next();
    const headers = { ...securityHeaders(publicUrl ?? c.req.url), [REQUEST_ID]: requestId };
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  });
}
