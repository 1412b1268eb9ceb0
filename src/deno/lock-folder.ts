import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { rootMessage } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import { type StartFailure, serviceFailed, unusableFolder } from "./start-failure.ts";

/** The time for which a new process waits for the one that it replaces. */
const MAX_WAIT_MS = 10_000;
const POLL_MS = 100;

export type FolderLock = { release(): void };

/**
 * Creates and locks a folder for one service. If another service has the lock, waits for it to stop, for up to 10 s. The
 * file is not the one of the local run, which locks the same folder before it starts the service.
 */
export async function lockFolder(folder: string): Promise<Result<FolderLock, StartFailure>> {
  for (let waited = 0; waited < MAX_WAIT_MS; waited += POLL_MS) {
    try {
      return ok(tryLock(folder, "edge-exposures.lock"));
    } catch (error) {
      if (!isLocked(error)) return failed(unusableFolder(folder, error));
    }
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
  const problem = `STATE_DIR ${folder} is in use by another process of the service.`;
  return failed(serviceFailed(`${problem} Stop that process, or set STATE_DIR to another folder.`));
}

/**
 * Creates a folder, and locks a SQLite file in it. The lock ends with the process, even after SIGKILL.
 * @throws an error for which `isLocked` is true if another process has the lock
 */
export function tryLock(folder: string, file: string): FolderLock {
  mkdirSync(folder, { recursive: true });
  const connection = new DatabaseSync(join(folder, file));
  try {
    connection.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    connection.close();
    throw error;
  }
  return { release: () => connection.close() };
}

/** True for an error that says that another process has the lock. */
export function isLocked(error: unknown): boolean {
  return rootMessage(error) === "database is locked";
}
