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
 * Creates and locks a folder for one service. If another service has the lock, waits for it to stop, for up to 10 s.
 *
 * The lock on a SQLite file ends with its process, even after SIGKILL. The file is not the one of the local run, which
 * locks the same folder before it starts the service.
 */
export async function lockFolder(folder: string): Promise<Result<FolderLock, StartFailure>> {
  for (let waited = 0; waited < MAX_WAIT_MS; waited += POLL_MS) {
    try {
      return ok(tryLock(folder));
    } catch (error) {
      if (rootMessage(error) !== "database is locked") return failed(unusableFolder(folder, error));
    }
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
  const problem = `STATE_DIR ${folder} is in use by another process of the service.`;
  return failed(serviceFailed(`${problem} Stop that process, or set STATE_DIR to another folder.`));
}

function tryLock(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true });
  const connection = new DatabaseSync(join(folder, "edge-exposures.lock"));
  try {
    connection.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    connection.close();
    throw error;
  }
  return { release: () => connection.close() };
}
