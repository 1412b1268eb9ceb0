import { describe, expect, it } from "vitest";
import { deploy } from "../../src/dev/deployment.ts";
import { failed, ok, type Result } from "../../src/result.ts";

const [BUILD, MIGRATE, DEPLOY] = ["deploy --dry-run --outdir dist", "d1 migrations apply DB --remote", "deploy"];
const NO_DATABASE =
  "✘ [ERROR] Couldn't find a D1 DB named 'edge-exposures' (bound as 'DB') in the API. Run 'wrangler d1 create edge-exposures' to create it.";

/** Deploys with a wrangler whose commands have these results, and succeed otherwise. Returns the commands that ran. */
async function run(results: Record<string, Result<null, string>[]> = {}) {
  const commands: string[] = [];
  const result = await deploy(async (...args) => {
    const command = args.join(" ");
    commands.push(command);
    return results[command]?.shift() ?? ok(null);
  });
  return { commands, result };
}

describe("deploy", () => {
  it("builds, migrates and deploys, in this order", async () => {
    expect(await run()).toEqual({ commands: [BUILD, MIGRATE, DEPLOY], result: ok(null) });
  });

  it("migrates after the first deployment, which creates the database", async () => {
    const { commands, result } = await run({ [MIGRATE]: [failed(NO_DATABASE)] });
    expect(commands).toEqual([BUILD, MIGRATE, DEPLOY, MIGRATE]);
    expect(result).toEqual(ok(null));
  });

  it.each([
    { step: "build", command: BUILD, commands: [BUILD] },
    { step: "migration", command: MIGRATE, commands: [BUILD, MIGRATE] },
    { step: "deployment", command: DEPLOY, commands: [BUILD, MIGRATE, DEPLOY] },
  ])("stops at a failed $step", async ({ command, commands }) => {
    expect(await run({ [command]: [failed("reason")] })).toEqual({ commands, result: failed("reason") });
  });

  it("fails if the first deployment or the migration after it fails", async () => {
    const missing = failed(NO_DATABASE);
    expect((await run({ [MIGRATE]: [missing], [DEPLOY]: [failed("reason")] })).result).toEqual(failed("reason"));
    expect((await run({ [MIGRATE]: [missing, failed("reason")] })).result).toEqual(failed("reason"));
  });
});
