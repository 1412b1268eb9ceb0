import type { Context } from "hono";
import type { Authentication } from "../http/authentication.ts";
import { ANYONE, type Caller, type Right } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import type { AppEnv } from "../http/request-context.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { createCredentialReferences } from "./credential-references.ts";
import { createSessions, type Session, type Sessions } from "./session.ts";
import { type ShareKind, verifyShareLink } from "./share-link.ts";

/** A person who views a page. */
export type Visitor = {
  caller: Caller;
  /** Null if the visitor has not signed in. */
  session: Session | null;
  /** Null if nobody can sign in. */
  signedIn: boolean | null;
};

export type Visitors = {
  /** Null if SESSION_SECRET is not set. Nobody can sign in then. */
  sessions: Sessions | null;
  /**
   * The signed-in visitor, or an anonymous one if PUBLIC_READ is set; null: the visitor must sign in.
   * @param right that of the page. A visitor without it must sign in, but a signed-in one is returned.
   */
  visitorOf(c: Context<AppEnv>, right?: Right): Promise<Visitor | null>;
  /**
   * The experiment that the URL shares, as `find` reads it; null: the URL is not a valid share link to this kind of content.
   * What is shown must come from this one read, because the experiment may move to another environment before the next.
   */
  findShared(
    c: Context<AppEnv>,
    kind: ShareKind,
    find: () => Promise<StoredSummary | null>,
  ): Promise<StoredSummary | null>;
};

export function createVisitors(deps: AppDeps, authentication: Authentication): Visitors {
  const { database, settings, clock } = deps;
  const { sessionSecret: secret, publicRead } = settings;
  const signedIn = secret === null ? null : false;
  const anonymous: Visitor | null = publicRead ? { caller: ANYONE, session: null, signedIn } : null;
  if (secret === null) return { sessions: null, visitorOf: async () => anonymous, findShared: async () => null };

  const references = createCredentialReferences(secret, settings);
  const sessions = createSessions({ secret, references, authentication, database, clock });
  return {
    sessions,
    async visitorOf(c, right = "read") {
      const session = await sessions.find(c);
      if (session !== null) return { caller: session.credential.caller, session, signedIn: true };
      return right === "read" ? anonymous : null;
    },
    async findShared(c, kind, find) {
      const { until, by, signature } = c.req.query();
      if (until === undefined || by === undefined || signature === undefined) return null;
      const summary = await find();
      if (summary === null) return null;
      const { id: experimentId, environmentKey } = summary.experiment;
      const link = { kind, experimentId, environmentKey, until, by };
      if (!(await verifyShareLink(secret, link, signature, clock()))) return null;
      const name = await references.nameOf(by);
      return name !== null && (await authentication.credentialNamed(name)) !== null ? summary : null;
    },
  };
}
