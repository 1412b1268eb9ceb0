import { failed, ok, type Result } from "../result.ts";
import { isLoopback, token } from "../setting-types.ts";
import { readOptions } from "./options.ts";

/** The service to check. */
export type Target = { url: URL; token: string | null };

const URL_EXAMPLE = "Pass the URL of the service, like https://exposures.example";

/**
 * Reads which service to check, with which token. A failure never repeats the address or the token, which may hold a
 * secret.
 * @param address undefined: the local run
 */
export function readTarget(address: string | undefined, env: NodeJS.ProcessEnv): Result<Target, string> {
  if (address === undefined) {
    const options = readOptions(env);
    if (!options.ok) return options;
    const { port, settings } = options.value;
    return ok({ url: new URL(`http://127.0.0.1:${port}`), token: settings.adminToken });
  }
  const url = URL.parse(address);
  if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))))
    return failed(`The argument is not an https:// URL. ${URL_EXAMPLE}`);
  if (url.username !== "" || url.password !== "")
    return failed(`The URL must not hold credentials. ${URL_EXAMPLE}, and set ADMIN_TOKEN in the environment.`);
  const adminToken = env["ADMIN_TOKEN"] || null;
  // fetch would refuse to send it, with an error that repeats it.
  const problem = adminToken === null ? undefined : token.safeParse(adminToken).error?.issues[0]?.message;
  if (problem !== undefined) return failed(`ADMIN_TOKEN ${problem}`);
  return ok({ url, token: adminToken });
}
