import { DurableObject } from "cloudflare:workers";
import { type Alerter as Core, createAlerter } from "../alerts/alerter.ts";
import { postAlert } from "../alerts/post-alert.ts";
import { consoleLog } from "../log.ts";
import { openD1 } from "./d1.ts";
import type { AlerterRpc, Env } from "./env.ts";
import { requireSettings } from "./require-settings.ts";
import { storageAlarm } from "./storage-alarm.ts";

/**
 * Delivers alerts. There is only one such object, so that a receiver is never flooded. Its durable alarm retries each
 * alert until the receiver accepts it or the retries are used up.
 */
export class Alerter extends DurableObject<Env> implements AlerterRpc {
  #alerter: Core | null = null;

  async request(): Promise<void> {
    await this.#open()?.request();
  }

  override async alarm(): Promise<void> {
    await this.#open()?.onAlarm();
  }

  /** Null if there is no receiver. */
  #open(): Core | null {
    if (this.#alerter !== null) return this.#alerter;
    const { alertEndpoint } = requireSettings(this.env);
    if (alertEndpoint === null) return null;
    this.#alerter = createAlerter({
      database: openD1(this.env.DB),
      post: (alert, now) => postAlert(alertEndpoint, alert, now),
      alarm: storageAlarm(this.ctx.storage),
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    });
    return this.#alerter;
  }
}
