import * as z from "zod/mini";
import { failed, ok, type Result } from "../result.ts";
import { wholeNumber } from "../setting-types.ts";
import { describeProblems, parseSettings, problemsOf, settingNames } from "../settings.ts";
import { variable, withoutEmpty } from "../settings-schema.ts";

export type ServeOptions = {
  host: string;
  port: number;
  stateDir: string;
  /** The settings. The service itself reports malformed ones. */
  env: Readonly<Record<string, string | undefined>>;
};

// Deno separates the paths of a permission by commas, and has no escape for them.
const FOLDER_RULE = "must be a path without a comma, because Deno can't grant access to one with a comma";
const HOST_RULE = "must be an IP address without brackets, or a host name";

const optionsSchema = z.object({
  HOST: variable("127.0.0.1", z.string().check(z.refine((value) => /^[\w.:-]+$/.test(value), HOST_RULE))),
  PORT: variable(8787, wholeNumber("number", 1, 65_535)),
  STATE_DIR: variable(".state", z.string().check(z.refine((path) => !path.includes(","), FOLDER_RULE))),
});

/** Reads where the service listens and keeps its state. A failure names all malformed variables. */
export function readServeOptions(env: ServeOptions["env"]): Result<ServeOptions, string> {
  const parsed = optionsSchema.safeParse(withoutEmpty(env));
  if (!parsed.success) return failed(describeProblems(problemsOf(parsed.error)));
  const { HOST, PORT, STATE_DIR } = parsed.data;
  return ok({ host: HOST, port: PORT, stateDir: STATE_DIR, env });
}

/** Returns the `deno` arguments that run the service with minimal permissions, up to the path of its entry. */
export function serveArguments({ host, port, stateDir, env }: ServeOptions): string[] {
  return ["serve", "--host", host, "--port", String(port), ...permissionsFor({ host, port, stateDir, env })];
}

function permissionsFor({ host, port, stateDir, env }: ServeOptions): string[] {
  const settings = parseSettings(env);
  const { warehouse, flagsmith, alertEndpoint } = settings.ok ? settings.value : {};
  const upstreams = [warehouse?.url, flagsmith?.apiUrl, alertEndpoint?.url];
  const own = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return [
    "--no-prompt",
    `--allow-net=${[own, ...upstreams.flatMap((url) => (url === undefined ? [] : [addressOf(url)]))].join(",")}`,
    `--allow-read=migrations/d1,${stateDir}`,
    `--allow-write=${stateDir}`,
    `--allow-env=${[...settingNames, "STATE_DIR"].join(",")}`,
  ];
}

function addressOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? "443" : "80")}`;
}
