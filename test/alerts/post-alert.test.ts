import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { testAlert } from "../../src/alerts/messages.ts";
import { postAlert } from "../../src/alerts/post-alert.ts";
import { freePort } from "../support/free-port.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const SECRET = `whsec_${btoa("the secret of the test")}`;

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.stop());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("postAlert", () => {
  it("posts the stored body with a signature, in the standard format", async () => {
    const alert = testAlert("ADMIN_TOKEN", Date.now());
    expect(await postAlert({ url: receiver.url, format: "standard", secret: SECRET }, alert, Date.now())).toBeNull();
    const received = receiver.received.at(-1);
    expect(received?.body).toBe(alert.body);
    expect(received?.headers["webhook-id"]).toBe(alert.id);
    new Webhook(SECRET).verify(alert.body, received?.headers ?? {});
  });

  it("posts a text without a signature, in Slack's format", async () => {
    const alert = testAlert("ADMIN_TOKEN", Date.now());
    expect(await postAlert({ url: receiver.url, format: "slack" }, alert, Date.now())).toBeNull();
    const received = receiver.received.at(-1);
    expect(JSON.parse(received?.body ?? "")).toEqual({ text: expect.stringContaining("Test alert") });
    expect(received?.headers["content-type"]).toBe("application/json");
    expect(Object.keys(received?.headers ?? {}).filter((name) => name.startsWith("webhook-"))).toEqual([]);
  });

  it("returns the status of a refusal", async () => {
    receiver.responses.push({ status: 404 });
    const alert = testAlert("ADMIN_TOKEN", Date.now());
    expect(await postAlert({ url: receiver.url, format: "slack" }, alert, Date.now())).toBe("status 404");
  });

  it("returns that the receiver is unreachable, without its address", async () => {
    const url = new URL(`http://127.0.0.1:${await freePort()}/hook?key=of-the-test`);
    expect(await postAlert({ url, format: "slack" }, testAlert("ADMIN_TOKEN", 0), 0)).toBe("unreachable");
  });

  it("waits 15 seconds for a receiver that never responds", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    // Fake timers do not cover the signal's own timer.
    vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException("The time is over.", "TimeoutError")), milliseconds);
      return controller.signal;
    });
    receiver.responses.push(null);
    const before = receiver.received.length;
    const outcomes: (string | null)[] = [];
    const posted = postAlert({ url: receiver.url, format: "slack" }, testAlert("ADMIN_TOKEN", 0), 0);
    const recorded = posted.then((reason) => outcomes.push(reason));
    // Polling with expect would advance the fake timers.
    while (receiver.received.length === before) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(14_999);
    expect(outcomes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await recorded;
    expect(outcomes).toEqual(["timeout"]);
  });
});
