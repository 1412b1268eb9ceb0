import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startWarehouse } from "../../src/dev/local-warehouse.ts";
import { profileUsers, users } from "./users.ts";

declare module "vitest" {
  interface ProvidedContext {
    warehouseUrl: string;
  }
}

/** Starts one real ClickHouse engine for all projects. Each test file creates its own database in it. */
export default async function setup(project: TestProject) {
  const root = project.vitest.getRootProject();
  if ("warehouseUrl" in root.getProvidedContext()) return;
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-"));
  const warehouse = await startWarehouse({ folder, port: 0, users: [...Object.values(users), ...profileUsers] });
  if (!warehouse.ok) throw new Error(warehouse.failure);
  root.provide("warehouseUrl", warehouse.value.url.href);
  return async () => {
    await warehouse.value.stop();
    rmSync(folder, { recursive: true });
  };
}
