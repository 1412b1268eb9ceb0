import { createHmac, randomUUID } from "node:crypto";
import { FLAGSMITH_SECRET, WEBHOOK_SECRET } from "./worker.ts";

/** The header that carries a webhook's signature. It identifies the signature scheme. */
export type SignatureHeader = "webhook-signature" | "x-flagsmith-signature";

/** Returns the headers of a correctly signed webhook. The body may be any bytes. */
export function sign(header: SignatureHeader, body: string | Uint8Array, id: string = randomUUID()) {
  if (header === "x-flagsmith-signature") {
    return { "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex") };
  }
  const timestamp = String(Math.floor(Date.now() / 1000));
  const secret = Buffer.from(WEBHOOK_SECRET.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
