import * as z from "zod/mini";
import { withFallback } from "../fallback.ts";
import { verifyHmac } from "../hmac.ts";

// Flagsmith's webhooks:
// https://docs.flagsmith.com/administration-and-security/platform-configuration/environment-settings

/** Checks a hexadecimal HMAC-SHA256 of the body, in constant time. */
export async function isSignedHex(secret: string, signature: string, body: string): Promise<boolean> {
  return /^[0-9a-f]{64}$/i.test(signature) && verifyHmac(secret, body, Uint8Array.fromHex(signature));
}

const name = z.string().check(
  z.minLength(1),
  z.refine((text) => text.isWellFormed()),
);
const featureState = withFallback(z.nullish(z.object({ feature: z.object({ name }) })), null);
const flagChange = z.object({ new_state: featureState, previous_state: featureState });

/** Maps the body of a webhook to its subject: one feature, the whole environment, or nothing. */
export const flagsmithWebhookBody = z.pipe(
  z.object(
    { event_type: z.string({ error: "must be a string" }), data: z.optional(z.unknown()) },
    { error: "must be an object" },
  ),
  z.transform(({ event_type, data }: { event_type: string; data?: unknown }, { issues }) => {
    switch (event_type) {
      case "FLAG_UPDATED":
      case "FLAG_DELETED": {
        const change = flagChange.safeParse(data).data;
        const state = change?.new_state ?? change?.previous_state;
        if (state) return { about: "feature", featureName: state.feature.name } as const;
        const message = "must name the feature in new_state.feature.name or previous_state.feature.name";
        issues.push({ code: "custom", input: data, path: ["data"], message });
        return z.NEVER;
      }
      case "AUDIT_LOG_CREATED":
      case "NEW_VERSION_PUBLISHED":
        return { about: "environment" } as const;
      default:
        return { about: "nothing" } as const;
    }
  }),
);
