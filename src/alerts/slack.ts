import { property } from "../exposures/json.ts";

/** The body of a Slack incoming webhook for an alert. https://docs.slack.dev/messaging/formatting-message-text */
export function slackBody(body: string): string {
  const alert: unknown = JSON.parse(body);
  const data = property(alert, "data");
  const title = property(data, "title") ?? property(alert, "type");
  return JSON.stringify({ text: `*${escapeText(title)}*\n${escapeText(property(data, "detail"))}` });
}

/** Escapes what Slack reads as a link or a mention. */
function escapeText(text: unknown): string {
  return String(text ?? "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
