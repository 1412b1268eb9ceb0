import { spawn } from "node:child_process";
import { once } from "node:events";
import { failed, ok } from "../result.ts";
import { deploy, type Wrangler } from "./deployment.ts";

// `npm run deploy` deploys the Worker for the first time, or upgrades it. It asks nothing, so that it also runs in CI.

const wrangler: Wrangler = async (...args) => {
  const child = spawn("wrangler", args, { stdio: ["ignore", "inherit", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors += data;
  });
  const [code] = await once(child, "close");
  if (code !== 0) return failed(errors || `wrangler ${args.join(" ")} failed.`);
  // Warnings.
  process.stderr.write(errors);
  return ok(null);
};

const deployed = await deploy(wrangler);
if (deployed.ok) console.log("\nDeployed. Check it with: npm run doctor -- https://…");
else {
  console.error(deployed.failure);
  process.exitCode = 1;
}
