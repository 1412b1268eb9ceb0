import process from "node:process";
import { runService } from "../deno/run.ts";
import { TRIGGER_PATH } from "./trigger.ts";

// The Deno entry of a local run. Unlike src/deno.ts, it sweeps only on a request to TRIGGER_PATH.

const { service, stopping } = await runService();
// An open channel to the parent would keep the process alive.
stopping.addEventListener("abort", () => process.disconnect?.());
// The parent was killed. Left behind, this process would go on serving the port and writing the state.
process.once("disconnect", () => {
  if (!stopping.aborted) process.exit(1);
});

export default {
  async fetch(request: Request, connection: { remoteAddr: object }): Promise<Response> {
    // A malformed Host header makes the URL invalid.
    const url = URL.parse(request.url);
    if (url?.pathname !== TRIGGER_PATH) return service.fetch(request, connection);
    const isComplete = await service.sweep(Number(url.searchParams.get("time") ?? Date.now()));
    return isComplete ? new Response("ok") : new Response("exception", { status: 500 });
  },
  /** Reports to the parent, if it opened a channel, that this very process serves the port. */
  onListen: () => void process.send?.("listening"),
};
