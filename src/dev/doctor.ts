import { failed, ok } from "../result.ts";
import { type Answers, diagnose, type ServiceAnswer } from "./diagnosis.ts";
import { readTarget, type Target } from "./target.ts";

// `npm run doctor -- URL` checks a deployed service, with the ADMIN_TOKEN of the environment. Without a URL it checks the
// local run. It exits with 1 if something is wrong.

const TIMEOUT_MS = 15_000;
/** More than the default deadline of a query. */
const WAREHOUSE_TIMEOUT_MS = 150_000;

const target = readTarget(process.argv[2], process.env);
if (target.ok) await report(target.value);
else {
  console.error(target.failure);
  process.exitCode = 1;
}

async function report({ url, token }: Target): Promise<void> {
  const findings = diagnose(await ask(url, token), Date.now());
  console.log(url.origin);
  for (const { subject, problem } of findings)
    console.log(`  ${problem === null ? "ok   " : "wrong"}  ${subject}${problem === null ? "" : `: ${problem}`}`);
  if (findings.some(({ problem }) => problem !== null)) process.exitCode = 1;
}

/** Asks for the status last, so that its time is the current one. */
async function ask(url: URL, token: string | null): Promise<Answers> {
  const health = await get(new URL("/healthz", url), {});
  const readiness = await get(new URL("/readyz", url), {});
  if (token === null) return { health, readiness, authorized: null };
  const headers = { Authorization: `Bearer ${token}` };
  const warehouse = await get(new URL("/v1/warehouse/check", url), headers, WAREHOUSE_TIMEOUT_MS);
  return { health, readiness, authorized: { warehouse, status: await get(new URL("/v1/status", url), headers) } };
}

async function get(url: URL, headers: Record<string, string>, timeoutMs = TIMEOUT_MS): Promise<ServiceAnswer> {
  try {
    // A redirect could lead to another server.
    const response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
    return ok({ status: response.status, body: parseJson(await response.text()) });
  } catch (error) {
    return failed(reasonOf(error));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The reason of a failed fetch is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}
