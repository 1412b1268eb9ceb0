import { expect, it } from "vitest";
import { commandOf, onWarehouse, type Script, start, stopRunsAfterAll } from "../support/local-run.ts";
import { createWarehouse } from "../support/warehouse.ts";

stopRunsAfterAll();

const cases: { script: Script; service: string }[] = [
  { script: "start", service: "workerd" },
  { script: "start:deno", service: "deno" },
];

it.each(cases)("npm run $script leaves no $service behind when its process is killed", async ({ script, service }) => {
  const run = await start(onWarehouse(await createWarehouse()), script);
  await run.ready();
  const commands = run.runningProcesses().map((process) => ({ pid: process.pid, command: commandOf(process) }));
  expect(commands.filter(({ command }) => command.includes(`${service} serve`))).toHaveLength(1);
  const parent = commands.find(({ command }) => command.startsWith("node src/dev/start.ts"));
  process.kill(parent?.pid ?? Number.NaN, "SIGKILL");
  await run.waitForExit();
});
