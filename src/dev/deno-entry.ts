import { runService } from "../deno/run.ts";

// The Deno entry of a local run: as src/deno.ts, but sweeps when it is told to, at the address where workerd listens for
// that too.

const TRIGGER = "/cdn-cgi/local/scheduled";

const { service } = await runService();

export default {
  async fetch(request: Request, connection: { remoteAddr: object }): Promise<Response> {
    // A Host header may make the URL one that does not parse.
    const url = URL.parse(request.url);
    if (url?.pathname !== TRIGGER) return service.fetch(request, connection);
    const done = await service.sweep(Number(url.searchParams.get("time") ?? Date.now()));
    return done ? new Response("ok") : new Response("exception", { status: 500 });
  },
};
