import { DurableObject } from "cloudflare:workers";
import type { DurableObjectNamespace } from "@cloudflare/workers-types";
import { type Alerts, type Alerter as Core, createAlerter } from "../alerts/alerter.ts";
import { postAlert } from "../alerts/post.ts";
import { consoleLog } from "../log.ts";
import { type AlertEndpoint, describeProblems, parseSettings } from "../settings.ts";
import { openD1 } from "./d1.ts";
import type { Env } from "./env.ts";

/**
 * Delivers alerts, as a Durable Object of which there is one: so a receiver is never flooded, and an alarm that goes off
 * at least once sees to it that each alert is tried until it is taken.
 */
export class Alerter extends DurableObject<Env> {
  #alerter: Core | null = null;

  async ask(): Promise<void> {
    await this.#open()?.ask();
  }

  override async alarm(): Promise<void> {
    await this.#open()?.wake();
  }

  /** Null if there is nowhere to deliver to. */
  #open(): Core | null {
    if (this.#alerter !== null) return this.#alerter;
    const settings = parseSettings({ ...this.env });
    if (!settings.ok) throw new Error(describeProblems(settings.failure));
    const { alertEndpoint } = settings.value;
    if (alertEndpoint === null) return null;
    const { storage } = this.ctx;
    this.#alerter = createAlerter({
      database: openD1(this.env.DB),
      post: (alert, now) => postAlert(alertEndpoint, alert, now),
      alarm: {
        get: () => storage.getAlarm(),
        set: (at) => storage.setAlarm(at),
        clear: () => storage.deleteAlarm(),
      },
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    });
    return this.#alerter;
  }
}

/** The one that delivers; null if there is nowhere to deliver to. */
export function reachAlerter(
  alerters: DurableObjectNamespace<Alerter>,
  { alertEndpoint }: { alertEndpoint: AlertEndpoint | null },
): Alerts | null {
  return alertEndpoint === null ? null : { ask: () => alerters.getByName("alerter").ask() };
}
