import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startDeno } from "../../src/dev/local-deno.ts";
import { failed } from "../../src/result.ts";
import { freePort } from "../support/free-port.ts";

it("startDeno fails when another process serves its port", async () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-port-"));
  const port = await freePort();
  const other = createServer((_, response) => response.end("{}")).listen(port, "127.0.0.1");
  onTestFinished(() => {
    other.close();
    rmSync(folder, { recursive: true });
  });
  await once(other, "listening");
  const bindings = { CLICKHOUSE_URL: "http://127.0.0.1:1", ADMIN_TOKEN: "dev-admin", READ_TOKEN: "dev-read" };
  expect(await startDeno(folder, port, bindings, () => undefined)).toEqual(
    failed(`port ${port} is in use. Set PORT to another port.`),
  );
});
