import { parseSettings, settingNames } from "../settings.ts";

export type ServeOptions = {
  host: string;
  port: number | string;
  stateDir: string;
  /** The settings. The service itself reports malformed ones. */
  env: Readonly<Record<string, string | undefined>>;
};

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
