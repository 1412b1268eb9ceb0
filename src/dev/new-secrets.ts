import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { failed, ok, type Result } from "../result.ts";
import { describeSettings } from "../settings-schema.ts";

const token = () => randomBytes(32).toString("base64url");
const webhookSecret = () => `whsec_${randomBytes(32).toString("base64")}`;

/** The secrets that an installation may choose. Others, such as a password of ClickHouse, exist already. */
const GENERATED: Readonly<Record<string, () => string>> = {
  ADMIN_TOKEN: token,
  READ_TOKEN: token,
  SESSION_SECRET: token,
  WEBHOOK_SECRET: webhookSecret,
  ALERT_WEBHOOK_SECRET: webhookSecret,
  FLAGSMITH_WEBHOOK_SECRET: token,
};

/**
 * Writes the secrets of a new installation for `wrangler secret bulk`, where null means that a secret is not set. Never
 * replaces a file, whose secrets may be in use. Returns the names that are still null.
 */
export function writeNewSecrets(path: string): Result<string[], string> {
  const names = describeSettings().flatMap(({ kind, name }) => (kind === "secret" ? [name] : []));
  const secrets = Object.fromEntries(names.map((name) => [name, GENERATED[name]?.() ?? null]));
  try {
    writeFileSync(path, `${JSON.stringify(secrets, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
    return failed(
      exists
        ? `${path} exists already, and its secrets may be in use. Delete it first if they are not.`
        : `${path} can't be written: ${String(error)}`,
    );
  }
  return ok(names.filter((name) => secrets[name] === null));
}
