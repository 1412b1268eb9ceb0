import type { Env } from "../../../src/cloudflare/env.ts";
import worker, { RefreshCoordinator as RealCoordinator } from "../../../src/worker.ts";

// The real Worker, whose coordinators a test can abort at any time.

export { Alerter, Dispatcher } from "../../../src/worker.ts";

export class RefreshCoordinator extends RealCoordinator {
  override fetch(): never {
    this.ctx.abort("aborted by a test");
    throw new Error("aborted");
  }
}

export default {
  async fetch(request, env) {
    const experimentId = request.headers.get("X-Vanish");
    if (experimentId === null) return worker.fetch(request, env);
    // The call fails, because its object is aborted.
    await env.COORDINATOR.getByName(experimentId)
      .fetch(request.url)
      .catch(() => undefined);
    return new Response();
  },
  scheduled: (controller, env) => worker.scheduled(controller, env),
} satisfies ExportedHandler<Env>;
