import { failed, type Result } from "../result.ts";
import { createTtlCache } from "../ttl-cache.ts";
import { isOverload, type WarehouseFailure } from "./failure.ts";

export type Answer<Value> = Result<Value, WarehouseFailure>;

/** Asks a question, unless this process has a fresh answer to it. */
export type SharedAnswers<Value> = (question: string, ask: () => Promise<Answer<Value>>) => Promise<Answer<Value>>;

const TTL_MS = 60_000;
/** Short, so that an operator who corrects the cause soon sees the effect. */
const FAILURE_TTL_MS = 10_000;
/** The time for which an old answer may still serve callers while the question is in flight. */
const STALE_MS = 10 * 60_000;
const MAX_QUESTIONS = 100;

const POLL_MS = 100;
/** A request that gave no sign of life for this long was cancelled, and its question with it. */
const ABANDONED_MS = 5_000;

/** An answer, or a question in flight, which its asker confirms every POLL_MS. */
type Entry<Value> = { answer: Answer<Value> | null; answeredAt: number; aliveAt: number | null };

/**
 * Shares answers among the callers of this process. While a question is in flight, other callers get the previous answer,
 * or wait for the new one, for as long as a query may take. They share values, never promises: in a Worker, a request must
 * not await a promise of another request, and a request that is cancelled never resolves its own.
 */
export function createSharedAnswers<Value>(timeoutMs: number, clock: () => number): SharedAnswers<Value> {
  const entries = createTtlCache<Entry<Value>>(STALE_MS, MAX_QUESTIONS, clock);

  const isWithin = (since: number, limitMs: number) => clock() >= since && clock() - since < limitMs;

  function isFresh({ answer, answeredAt }: Entry<Value>): boolean {
    if (answer === null) return false;
    return isWithin(answeredAt, answer.ok || isOverload(answer.failure.kind) ? TTL_MS : FAILURE_TTL_MS);
  }

  async function refresh(question: string, entry: Entry<Value>, ask: () => Promise<Answer<Value>>) {
    const confirm = () => {
      entry.aliveAt = clock();
    };
    confirm();
    entries.set(question, entry);
    const timer = setInterval(confirm, POLL_MS);
    try {
      entry.answer = await ask();
      entry.answeredAt = clock();
      entries.set(question, entry);
      return entry.answer;
    } finally {
      clearInterval(timer);
      entry.aliveAt = null;
    }
  }

  return async (question, ask) => {
    const giveUpAt = clock() + timeoutMs;
    while (clock() <= giveUpAt) {
      const entry = entries.get(question) ?? { answer: null, answeredAt: 0, aliveAt: null };
      if (entry.answer !== null && isFresh(entry)) return entry.answer;
      if (entry.aliveAt === null || !isWithin(entry.aliveAt, ABANDONED_MS)) return refresh(question, entry, ask);
      if (entry.answer?.ok) return entry.answer;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return failed({ kind: "timeout" });
  };
}
