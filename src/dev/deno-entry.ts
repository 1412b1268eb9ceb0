import { runService } from "../deno/run.ts";

// The Deno entry of a local run. Unlike src/deno.ts, it sweeps only on a request to the path that Miniflare also uses.

const TRIGGER = "/cdn-cgi/local/scheduled";

const { service } = await runService();

export default {
  async fetch(request: Request, connection: { remoteAddr: object }): Promise<Response> {
    // A malformed Host header makes the URL invalid.
    const url = URL.parse(request.url);
    if (url?.pathname !== TRIGGER) return service.fetch(request, connection);
    const isComplete = await service.sweep(Number(url.searchParams.get("time") ?? Date.now()));
    return isComplete ? new Response("ok") : new Response("exception", { status: 500 });
  },
};
