import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import type { AppEnv } from "../../src/http/request-context.ts";
import { htmlResponse, type PageOptions } from "../../src/panel/html-response.ts";
import { markup } from "../../src/panel/markup.ts";

async function respond(shared: boolean, options?: PageOptions): Promise<Response> {
  const app = new Hono<AppEnv>();
  app.get("/", (c) => htmlResponse(c, { title: "Page", signedIn: false, shared }, markup`<p>Content</p>`, options));
  return app.request("/");
}

const POLICY = [
  "base-uri 'none'",
  "connect-src 'self'",
  "default-src 'none'",
  "form-action 'self'",
  "img-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
];

describe("htmlResponse", () => {
  it.each([
    { page: "an own page", shared: false, frameAncestors: "'none'", referrerPolicy: "same-origin" },
    { page: "a shared page", shared: true, frameAncestors: "*", referrerPolicy: "no-referrer" },
  ])("restricts $page: frame-ancestors $frameAncestors, $referrerPolicy", async (expected) => {
    const { headers } = await respond(expected.shared);
    const policy = (headers.get("Content-Security-Policy") ?? "").split("; ");
    expect(policy.toSorted()).toEqual([...POLICY, `frame-ancestors ${expected.frameAncestors}`].toSorted());
    expect(headers.get("Referrer-Policy")).toBe(expected.referrerPolicy);
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Cache-Control")).toBe("private, no-store");
    // It would forbid what frame-ancestors allows.
    expect(headers.has("X-Frame-Options")).toBe(false);
  });

  it("keeps the status and the headers of an error page", async () => {
    const { status, headers } = await respond(false, { status: 429, headers: { "Retry-After": "60" } });
    expect(status).toBe(429);
    expect(headers.get("Retry-After")).toBe("60");
    expect(headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
  });
});
