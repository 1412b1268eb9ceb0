import type { Env } from "../../../src/cloudflare/env.ts";
import worker, { RefreshCoordinator as RealCoordinator } from "../../../src/worker.ts";

// The real Worker, whose coordinators can be made to vanish, in the middle of whatever they do.

export { Alerter, Sweeper } from "../../../src/worker.ts";

export class RefreshCoordinator extends RealCoordinator {
  override fetch(): never {
    this.ctx.abort("a test wants it gone");
    throw new Error("gone");
  }
}

export default {
  async fetch(request, env) {
    const experimentId = request.headers.get("X-Vanish");
    if (experimentId === null) return worker.fetch(request, env);
    // The call dies with the one who is called.
    await env.COORDINATOR.getByName(experimentId)
      .fetch(request.url)
      .catch(() => undefined);
    return new Response();
  },
  scheduled: (controller, env) => worker.scheduled(controller, env),
} satisfies ExportedHandler<Env>;
