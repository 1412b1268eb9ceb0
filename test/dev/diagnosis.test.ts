import { describe, expect, it } from "vitest";
import { type Answers, diagnose, type ServiceAnswer } from "../../src/dev/diagnosis.ts";
import { problemOf, type Refusal } from "../../src/http/problem.ts";
import { failed, ok } from "../../src/result.ts";

const NOW = Date.UTC(2026, 5, 1, 12);
const MINUTE = 60_000;
const iso = (time: number) => new Date(time).toISOString();

const answer = (body: unknown, status = 200): ServiceAnswer => ok({ status, body });
function refusal(reason: Refusal): ServiceAnswer {
  const { status, detail } = problemOf(reason);
  return answer({ type: `urn:edge-exposures:problem:${reason.kind.replaceAll("_", "-")}`, detail }, status);
}
const status = ({ time = NOW, lastSweepAt = NOW - MINUTE }: { time?: number; lastSweepAt?: number | null } = {}) =>
  answer({ time: iso(time), last_sweep_at: lastSweepAt === null ? null : iso(lastSweepAt), sweep_seconds: 900 });

const HEALTHY = {
  health: answer({ status: "ok" }),
  readiness: answer({ status: "ready" }),
  authorized: { status: status(), warehouse: answer({ status: "ok" }) },
};
const unauthorized = (reason: Refusal) => ({ status: refusal(reason), warehouse: refusal(reason) });
const withStatus = (found: ServiceAnswer) => ({ authorized: { ...HEALTHY.authorized, status: found } });

const ALL = ["service", "settings", "database", "token", "ClickHouse", "sweeps", "clock"];
const WITHOUT_TOKEN = ALL.slice(0, 4);

describe("diagnose", () => {
  it("finds no problem in a healthy service", () => {
    expect(diagnose(HEALTHY, NOW)).toEqual(ALL.map((subject) => ({ subject, problem: null })));
  });

  const cases: { when: string; answers: Partial<Answers>; subjects: string[]; problem: [string, RegExp] }[] = [
    {
      when: "nothing answers",
      answers: { health: failed("connect ECONNREFUSED 127.0.0.1:8787") },
      subjects: ["service"],
      problem: ["service", /no answer \(connect ECONNREFUSED.*Check the URL/],
    },
    {
      when: "another server answers",
      answers: { health: answer(null) },
      subjects: ["service"],
      problem: ["service", /Another server answered, with status 200\. Check the URL/],
    },
    {
      when: "a setting is malformed",
      answers: { health: refusal({ kind: "misconfigured", detail: "CACHE_SECONDS must be a whole number" }) },
      subjects: ["service", "settings"],
      problem: ["settings", /^CACHE_SECONDS must/],
    },
    {
      when: "the database is not migrated",
      answers: { readiness: refusal({ kind: "not_ready" }), ...withStatus(refusal({ kind: "unavailable" })) },
      subjects: [...ALL.slice(0, 5), "status"],
      problem: ["database", /npm run deploy migrates it/],
    },
    {
      when: "there is no token",
      answers: { authorized: null },
      subjects: WITHOUT_TOKEN,
      problem: ["token", /ADMIN_TOKEN is not set/],
    },
    {
      when: "the token is wrong",
      answers: { authorized: unauthorized({ kind: "unauthorized", detail: "", challenge: "" }) },
      subjects: WITHOUT_TOKEN,
      problem: ["token", /rejects ADMIN_TOKEN/],
    },
    {
      when: "the token is read-only",
      answers: { authorized: unauthorized({ kind: "forbidden", detail: "" }) },
      subjects: WITHOUT_TOKEN,
      problem: ["token", /read-only/],
    },
    {
      when: "the service has no status",
      answers: withStatus(refusal({ kind: "not_found" })),
      subjects: WITHOUT_TOKEN,
      problem: ["token", /older than this checkout/],
    },
    {
      when: "ClickHouse is not ready",
      answers: {
        authorized: { ...HEALTHY.authorized, warehouse: refusal({ kind: "warehouse", detail: "Set CLICKHOUSE_URL" }) },
      },
      subjects: ALL,
      problem: ["ClickHouse", /^Set CLICKHOUSE_URL$/],
    },
    {
      when: "there was no sweep",
      answers: withStatus(status({ lastSweepAt: null })),
      subjects: ALL,
      problem: ["sweeps", /no sweep yet\. Run this check again in 15 min/],
    },
    {
      when: "two sweeps are missing",
      answers: withStatus(status({ lastSweepAt: NOW - 31 * MINUTE })),
      subjects: ALL,
      problem: ["sweeps", /last sweep was 31 min ago\. Check the Cron Trigger/],
    },
    {
      when: "the service's clock is wrong",
      answers: withStatus(status({ time: NOW + 2 * MINUTE })),
      subjects: ALL,
      problem: ["clock", /120 s ahead of this machine's/],
    },
    {
      when: "the local clock is wrong",
      answers: withStatus(status({ time: NOW - 2 * MINUTE, lastSweepAt: NOW - 3 * MINUTE })),
      subjects: ALL,
      problem: ["clock", /120 s behind this machine's/],
    },
  ];
  it.each(cases)("says what to do when $when", ({ answers, subjects, problem: [subject, text] }) => {
    const findings = diagnose({ ...HEALTHY, ...answers }, NOW);
    expect(findings.map((finding) => finding.subject)).toEqual(subjects);
    const problems = findings.filter(({ problem }) => problem !== null);
    expect(problems[0]).toEqual({ subject, problem: expect.stringMatching(text) });
  });
});
