import { type Database, numberOf, numberOrNull, type Row, runOnPrimary, textOf, textOrNull } from "./database.ts";

export type Role = "read" | "write";
export const roles = ["read", "write"] as const satisfies readonly Role[];

export type ApiKey = {
  id: string;
  name: string;
  /** The environment that the key is bound to; null: all environments. */
  environmentKey: string | null;
  role: Role;
  createdAt: number;
  /** Epoch milliseconds; null: never. */
  expiresAt: number | null;
};

export const API_KEY_COLUMNS = ["id", "name", "environment_key", "role", "created_at", "expires_at"] as const;
const COLUMNS = API_KEY_COLUMNS.join(", ");

/**
 * Stores a new key.
 * @param sha256 the hexadecimal hash of the key's secret, stored in place of the secret
 */
export async function addApiKey(database: Database, key: ApiKey, sha256: string): Promise<void> {
  const { id, name, environmentKey, role, createdAt, expiresAt } = key;
  await runOnPrimary(database, {
    sql: `INSERT INTO api_keys (${COLUMNS}, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    values: [id, name, environmentKey, role, createdAt, expiresAt, sha256],
  });
}

/** Finds a key by its hash. */
export function findApiKey(database: Database, sha256: string): Promise<ApiKey | null> {
  return findBy("sha256", database, sha256);
}

export function findApiKeyById(database: Database, id: string): Promise<ApiKey | null> {
  return findBy("id", database, id);
}

/** Reads from the primary, because a lagging replica may still hold a revoked key. */
async function findBy(column: "sha256" | "id", database: Database, value: string): Promise<ApiKey | null> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT ${COLUMNS} FROM api_keys WHERE ${column} = ?`,
    values: [value],
  });
  return row === undefined ? null : apiKeyOf(row);
}

/** Lists a page of keys in the order of their ids. */
export async function listApiKeys(database: Database, after: string | null, limit: number): Promise<ApiKey[]> {
  const rows = await runOnPrimary(database, {
    sql: `SELECT ${COLUMNS} FROM api_keys WHERE id > ? ORDER BY id LIMIT ?`,
    values: [after ?? "", limit],
  });
  return rows.map((row) => apiKeyOf(row));
}

/** Deletes a key and returns its hash; null if it does not exist. */
export async function deleteApiKey(database: Database, id: string): Promise<string | null> {
  const [row] = await runOnPrimary(database, {
    sql: "DELETE FROM api_keys WHERE id = ? RETURNING sha256",
    values: [id],
  });
  return row === undefined ? null : textOf(row, "sha256");
}

/** Reads an API key from a row. The prefix precedes each column name. */
export function apiKeyOf(row: Row, prefix = ""): ApiKey {
  const role = roles.find((known) => known === row[`${prefix}role`]);
  if (role === undefined) throw new TypeError("role is unknown");
  return {
    id: textOf(row, `${prefix}id`),
    name: textOf(row, `${prefix}name`),
    environmentKey: textOrNull(row, `${prefix}environment_key`),
    role,
    createdAt: numberOf(row, `${prefix}created_at`),
    expiresAt: numberOrNull(row, `${prefix}expires_at`),
  };
}
