import { timingSafeEqual } from "hono/utils/buffer";
import { failed, ok, type Result } from "../result.ts";
import type { Settings } from "../settings.ts";
import { type ApiKey, findApiKeyById } from "../store/api-keys.ts";
import type { Database } from "../store/database.ts";
import { inspectApiKey } from "./api-key-format.ts";
import type { Caller } from "./caller.ts";
import type { Refusal } from "./problem.ts";

/** A valid token or API key. */
export type Credential = {
  caller: Caller;
  /** Epoch milliseconds; null: never. */
  expiresAt: number | null;
};

export type FindKey = (sha256: string) => Promise<ApiKey | null>;

export type Credentials = {
  /** Looks up a token as sent. An API key is looked up by `find`. */
  byToken(token: string, sha256: string, find: FindKey): Promise<Result<Credential, Refusal>>;
  /** Looks up a credential by its name in `Caller`. Pass only names that this service has signed. */
  byName(name: string): Promise<Credential | null>;
};

/** ADMIN_TOKEN, READ_TOKEN and the API keys. A token that is not set grants nothing. */
export function createCredentials(
  { adminToken, readToken }: Pick<Settings, "adminToken" | "readToken">,
  database: Database,
): Credentials {
  const tokens: { token: string | null; caller: Caller }[] = [
    { token: adminToken, caller: { name: "ADMIN_TOKEN", right: "admin", environmentKey: null } },
    { token: readToken, caller: { name: "READ_TOKEN", right: "read", environmentKey: null } },
  ];

  async function byToken(token: string, sha256: string, find: FindKey): Promise<Result<Credential, Refusal>> {
    for (const { token: expected, caller } of tokens)
      if (expected !== null && (await timingSafeEqual(token, expected))) return ok({ caller, expiresAt: null });
    switch (await inspectApiKey(token)) {
      case "mistyped":
        return failed(invalidToken("This key is mistyped: its checksum does not match. Copy it again."));
      case "none":
        return failed(invalidToken("This token is unknown. Check it, or ask for a new one."));
      case "well_formed": {
        const key = await find(sha256);
        if (key === null) return failed(invalidToken("This key is unknown or has been revoked. Ask for a new one."));
        return ok(credentialOf(key));
      }
    }
  }

  async function byName(name: string): Promise<Credential | null> {
    const token = tokens.find(({ caller }) => caller.name === name);
    if (token !== undefined) return token.token === null ? null : { caller: token.caller, expiresAt: null };
    const key = await findApiKeyById(database, name);
    return key === null ? null : credentialOf(key);
  }

  return { byToken, byName };
}

function credentialOf({ id, role, environmentKey, expiresAt }: ApiKey): Credential {
  return { caller: { name: id, right: role, environmentKey }, expiresAt };
}

export function unauthorized(detail: string, challenge: string): Refusal {
  return { kind: "unauthorized", detail, challenge };
}

export function invalidToken(detail: string): Refusal {
  return unauthorized(detail, 'Bearer error="invalid_token"');
}
