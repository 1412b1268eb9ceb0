import type { Context } from "hono";
import type { Authentication } from "../http/authentication.ts";
import { ANYONE, type Caller } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import type { AppEnv } from "../http/request-context.ts";
import { getExperiment } from "../store/experiments.ts";
import { createSessions, type Sessions } from "./session.ts";
import { type ShareKind, verifyShareLink } from "./share-link.ts";

/** A person who views a page. */
export type Visitor = { caller: Caller; signedIn: boolean };

export type Visitors = {
  /** Null if SESSION_SECRET is not set. Nobody can sign in then. */
  sessions: Sessions | null;
  /** The signed-in visitor, or an anonymous one if PUBLIC_READ is set; null: the visitor must sign in. */
  visitorOf(c: Context<AppEnv>): Promise<Visitor | null>;
  /** True if the URL is a valid share link to this kind of content. */
  isSharedLink(c: Context<AppEnv>, experimentId: string, kind: ShareKind): Promise<boolean>;
};

export function createVisitors({ database, settings, clock }: AppDeps, authentication: Authentication): Visitors {
  const { sessionSecret, publicRead } = settings;
  const sessions = sessionSecret === null ? null : createSessions(sessionSecret, authentication, clock);
  return {
    sessions,
    async visitorOf(c) {
      const caller = (await sessions?.callerOf(c)) ?? null;
      if (caller !== null) return { caller, signedIn: true };
      return publicRead ? { caller: ANYONE, signedIn: false } : null;
    },
    async isSharedLink(c, experimentId, kind) {
      const { until, signature } = c.req.query();
      if (sessionSecret === null || until === undefined || signature === undefined) return false;
      const experiment = await getExperiment(database, experimentId, null);
      if (experiment === null) return false;
      const { environmentKey } = experiment;
      return verifyShareLink(sessionSecret, { kind, experimentId, environmentKey, until }, signature, clock());
    },
  };
}
