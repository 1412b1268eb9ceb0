import type { Context } from "hono";
import type { AppDeps } from "../app.ts";
import type { AppEnv } from "../http/request-context.ts";
import type { Caller, SignIn } from "../http/authentication.ts";
import { getExperiment } from "../store/experiments.ts";
import { createSessions, type Sessions } from "./session.ts";
import { isShared, type SharedKind } from "./share-link.ts";

/** Who looks at a page. */
export type Visitor = { caller: Caller; signedIn: boolean };

export type Visitors = {
  /** Null: nobody can sign in, because there is no secret to sign sessions with. */
  sessions: Sessions | null;
  /** Whoever has signed in; anyone, where reading is open to all; null: nobody. */
  visitorOf(c: Context<AppEnv>): Promise<Visitor | null>;
  /** Whether the URL was made to be shared, for just this, and is still good. */
  isSharedLink(c: Context<AppEnv>, experimentId: string, kind: SharedKind): Promise<boolean>;
};

export function createVisitors({ database, settings, clock }: AppDeps, signIn: SignIn): Visitors {
  const { sessionSecret, publicRead } = settings;
  const sessions = sessionSecret === null ? null : createSessions(sessionSecret, signIn, clock);
  return {
    sessions,
    async visitorOf(c) {
      const caller = (await sessions?.callerOf(c)) ?? null;
      if (caller !== null) return { caller, signedIn: true };
      return publicRead ? { caller: signIn.anyone, signedIn: false } : null;
    },
    async isSharedLink(c, experimentId, kind) {
      const { until, signature } = c.req.query();
      if (sessionSecret === null || until === undefined || signature === undefined) return false;
      const experiment = await getExperiment(database, experimentId, null);
      if (experiment === null) return false;
      const { environmentKey } = experiment;
      return isShared(sessionSecret, { kind, experimentId, environmentKey, until }, signature, clock());
    },
  };
}
