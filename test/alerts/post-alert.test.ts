import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testAlert } from "../../src/alerts/messages.ts";
import { postAlert } from "../../src/alerts/post-alert.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const SECRET = `whsec_${btoa("the secret of the test")}`;

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.stop());

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
});
