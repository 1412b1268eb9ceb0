import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { createDemo } from "../../src/dev/demo.ts";
import { startMiniflare } from "../support/miniflare.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { varsFor } from "../support/worker.ts";
import { codeIn, readPage, tableOf } from "./pages.ts";

// Runs the `curl` examples of the docs in order, with the tokens and the demo of the local run.

const LOCAL_RUN = "http://127.0.0.1:8787";

type Example = { path: string; call: string; command: string; status: number; response: string | null };

/**
 * Parses the examples of a page: the commands in `sh` blocks that call the local run. Each ends with a comment line that
 * states the response status. A `json` block directly after a `sh` block is the response to its last command.
 */
function examplesOf(path: string): Example[] {
  const blocks = [...readPage(path).matchAll(/^```sh\n(.*?)^```$(?:\n\n```json\n(.*?)^```$)?/gms)];
  return blocks
    .filter(([, block]) => block?.includes(LOCAL_RUN))
    .flatMap(([, block = "", response = null]) =>
      block.split(/(?<=^# → .*\n)/m).map((example, index, { length }) => {
        const [, command = "", status] = /^(.*)^# → (\d{3})\n$/ms.exec(example) ?? [];
        if (status === undefined) throw new Error(`An example in ${path} lacks its status:\n${example}`);
        const isLast = index === length - 1;
        return { path, call: callOf(command), command, status: Number(status), response: isLast ? response : null };
      }),
    );
}

/** Returns the method and the path of a command. */
function callOf(command: string): string {
  const method = /-X (\S+)/.exec(command)?.[1] ?? "GET";
  return `${method} ${command.split(LOCAL_RUN)[1]?.split(/[\s']/)[0]}`;
}

const examples = ["README.md", "docs/api.md"].flatMap(examplesOf);

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
if (!hasCurl) console.warn("The examples of the docs are skipped because curl is not installed.");

let worker: Awaited<ReturnType<typeof startMiniflare>>;
let demo: ReturnType<typeof createDemo>;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  worker = await startMiniflare(varsFor(settings, { ADMIN_TOKEN: "dev-admin", READ_TOKEN: "dev-read" }));
  demo = createDemo(settings, worker.url, "dev-admin");
});
afterAll(() => worker?.stop());

it("docs/api.md lists exactly the operations of the OpenAPI document", async () => {
  const paths = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });
  const document = paths.parse(await (await fetch(new URL("/openapi.json", worker.url))).json());
  const documented = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).flatMap((method) => (method === "parameters" ? [] : [`${method.toUpperCase()} ${path}`])),
  );
  const listed = tableOf(readPage("docs/api.md"), "## Calls").flatMap(([call = ""]) => codeIn(call));
  expect(listed.sort()).toEqual(documented.sort());
});

describe.skipIf(!hasCurl)("the examples of the docs", () => {
  let folder: string;

  beforeAll(async () => {
    await demo.addTraffic();
    await demo.createExperiments();
    folder = mkdtempSync(join(tmpdir(), "edge-exposures-docs-"));
    writeFileSync(join(folder, ".curlrc"), 'silent\nnoproxy = "*"\nwrite-out = "%{stderr}%{http_code}\\n"\n');
  });
  afterAll(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  it("exist in README.md and docs/api.md", () => {
    expect(examples.map(({ path }) => path)).toEqual(expect.arrayContaining(["README.md", "docs/api.md"]));
  });

  it.each(examples)("in $path: $call answers $status", async ({ command, status, response }) => {
    const localCommand = command.replaceAll(LOCAL_RUN, worker.url.origin);
    const env = { ...process.env, HOME: folder, CURL_HOME: folder };
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", localCommand], { cwd: folder, env });
    expect(stderr).toBe(`${status}\n`);
    if (response !== null) expect(JSON.parse(stdout)).toEqual(JSON.parse(response));
  });
});
