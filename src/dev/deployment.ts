import type { Result } from "../result.ts";

/** Runs wrangler to its end. A failure is its error output. */
export type Wrangler = (...args: string[]) => Promise<Result<null, string>>;

/** Wrangler's error if the account has no database with the name in wrangler.toml. */
const NO_DATABASE = "Couldn't find a D1 DB named";

/**
 * Builds the Worker, migrates its database and deploys it. A failed step ends the deployment, and can be repeated.
 *
 * The migration comes first: the previous Worker runs on a newer schema, but a new Worker does not run on an older one.
 * The first deployment is the exception, because wrangler creates the database with the Worker.
 */
export async function deploy(wrangler: Wrangler): Promise<Result<null, string>> {
  const build = () => wrangler("deploy", "--dry-run", "--outdir", "dist");
  const migrate = () => wrangler("d1", "migrations", "apply", "DB", "--remote");
  const upload = () => wrangler("deploy");

  const built = await build();
  if (!built.ok) return built;
  const migrated = await migrate();
  const isFirst = !migrated.ok && migrated.failure.includes(NO_DATABASE);
  if (!migrated.ok && !isFirst) return migrated;
  const uploaded = await upload();
  return uploaded.ok && isFirst ? migrate() : uploaded;
}
