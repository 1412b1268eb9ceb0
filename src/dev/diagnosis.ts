import * as z from "zod/mini";
import type { Result } from "../result.ts";

/** A response of the service, or the reason why there was none. `body` is null if it is not JSON. */
export type ServiceAnswer = Result<{ status: number; body: unknown }, string>;

export type Answers = {
  /** `GET /healthz` and `GET /readyz`. */
  health: ServiceAnswer;
  readiness: ServiceAnswer;
  /** `GET /v1/status` and `GET /v1/warehouse/check` with the token; null: there is no token. */
  authorized: { status: ServiceAnswer; warehouse: ServiceAnswer } | null;
};

/** One line of the report. */
export type Diagnosis = {
  subject: string;
  /** What is wrong, and what to do; null: nothing. */
  problem: string | null;
};

const MAX_CLOCK_DIFFERENCE_MS = 30_000;
const MISCONFIGURED = "urn:edge-exposures:problem:misconfigured";

const problemBody = z.object({ type: z.string(), detail: z.string() });
const statusBody = z.object({ time: z.string(), last_sweep_at: z.nullable(z.string()), sweep_seconds: z.number() });
type Status = z.infer<typeof statusBody>;

/**
 * Reads the answers of a service, without I/O. A problem that hides others ends the report.
 * @param now the time of the answers by the local clock, in epoch milliseconds
 */
export function diagnose({ health, readiness, authorized }: Answers, now: number): Diagnosis[] {
  const service = findServiceProblem(health);
  const settings = problemOf(health)?.type === MISCONFIGURED ? describe(health) : null;
  const database =
    statusOf(readiness) === 200
      ? null
      : "The database is not ready. On Cloudflare, npm run deploy migrates it. If that does not help, the log states the reason.";
  const token = findTokenProblem(authorized?.status ?? null);
  const findings = [
    { subject: "service", problem: service },
    { subject: "settings", problem: settings },
    { subject: "database", problem: database },
    { subject: "token", problem: token },
  ];
  if (service !== null) return findings.slice(0, 1);
  if (settings !== null) return findings.slice(0, 2);
  if (token !== null || authorized === null) return findings;

  const { status, warehouse } = authorized;
  findings.push({ subject: "ClickHouse", problem: statusOf(warehouse) === 200 ? null : describe(warehouse) });
  const parsed = statusBody.safeParse(status.ok ? status.value.body : null);
  if (!parsed.success) return [...findings, { subject: "status", problem: describe(status) }];
  return [
    ...findings,
    { subject: "sweeps", problem: findSweepProblem(parsed.data) },
    { subject: "clock", problem: findClockProblem(parsed.data, now) },
  ];
}

function findServiceProblem(health: ServiceAnswer): string | null {
  if (!health.ok) return `There is no answer (${health.failure}). Check the URL, and that the service runs.`;
  const isOurs =
    problemOf(health) !== null || z.object({ status: z.literal("ok") }).safeParse(health.value.body).success;
  return isOurs ? null : `Another server answered, with status ${health.value.status}. Check the URL.`;
}

function findTokenProblem(status: ServiceAnswer | null): string | null {
  if (status === null)
    return "ADMIN_TOKEN is not set in the environment. Set it so that ClickHouse, the sweeps and the clock are checked as well.";
  switch (statusOf(status)) {
    case 401:
      return "The service rejects ADMIN_TOKEN. Set it to the secret ADMIN_TOKEN of the service.";
    case 403:
      return "ADMIN_TOKEN is read-only. Set it to the secret ADMIN_TOKEN of the service.";
    case 404:
      return "The service is older than this checkout. Deploy it: npm run deploy.";
    case 429:
      return describe(status);
    default:
      return null;
  }
}

/** The Cron Trigger may miss a sweep. Two missed in a row are a problem. */
function findSweepProblem({ time, last_sweep_at, sweep_seconds }: Status): string | null {
  if (last_sweep_at === null)
    return `There has been no sweep yet. Run this check again in ${minutes(sweep_seconds * 1000)}. If there is still none, check the Cron Trigger.`;
  const age = Date.parse(time) - Date.parse(last_sweep_at);
  if (age <= 2 * sweep_seconds * 1000) return null;
  return `The last sweep was ${minutes(age)} ago. Check the Cron Trigger, and the log for settings.invalid and sweep.failed.`;
}

function findClockProblem({ time }: Status, now: number): string | null {
  const ahead = Date.parse(time) - now;
  if (Math.abs(ahead) <= MAX_CLOCK_DIFFERENCE_MS) return null;
  const seconds = Math.round(Math.abs(ahead) / 1000);
  return `The service's clock is ${seconds} s ${ahead > 0 ? "ahead of" : "behind"} this machine's. Correct the wrong one.`;
}

const minutes = (ms: number) => `${Math.ceil(ms / 60_000)} min`;

const statusOf = (answer: ServiceAnswer) => (answer.ok ? answer.value.status : null);

function problemOf(answer: ServiceAnswer): z.infer<typeof problemBody> | null {
  return problemBody.safeParse(answer.ok ? answer.value.body : null).data ?? null;
}

/** Describes an answer other than the expected one. */
function describe(answer: ServiceAnswer): string {
  if (!answer.ok) return `There is no answer (${answer.failure}).`;
  return problemOf(answer)?.detail ?? `The service answered with ${answer.value.status}. Its log states the reason.`;
}
