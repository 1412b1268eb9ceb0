import { describe, expect, it } from "vitest";
import { testAlert } from "../../src/alerts/messages.ts";
import { slackBody } from "../../src/alerts/slack.ts";

describe("slackBody", () => {
  it("shows the title and the detail", () => {
    const { body } = testAlert("ADMIN_TOKEN", 0);
    expect(JSON.parse(slackBody(body))).toEqual({ text: "*Test alert*\nAlerts arrive here. Sent with ADMIN_TOKEN." });
  });

  it("escapes what Slack would read as a link, a mention or an entity", () => {
    const data = { title: "<!channel> & <https://evil.example|click>", detail: "&lt;@U1> > <" };
    expect(JSON.parse(slackBody(JSON.stringify({ type: "x", data })))).toEqual({
      text: "*&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;*\n&amp;lt;@U1&gt; &gt; &lt;",
    });
  });

  it("shows the type of an alert without a title, which an earlier version stored", () => {
    const body = JSON.stringify({ type: "health.changed", data: { detail: "All is lost." } });
    expect(JSON.parse(slackBody(body))).toEqual({ text: "*health.changed*\nAll is lost." });
  });

  it("shows only the title of an alert without a detail", () => {
    const body = JSON.stringify({ type: "x", data: { title: "All is well." } });
    expect(JSON.parse(slackBody(body))).toEqual({ text: "*All is well.*\n" });
  });
});
