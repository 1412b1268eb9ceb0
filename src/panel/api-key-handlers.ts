import type { Context } from "hono";
import { createApiKey, revokeApiKey } from "../http/api-key-edits.ts";
import type { Authentication } from "../http/authentication.ts";
import { parseInput } from "../http/body.ts";
import { hasRight } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { problemOf } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { pageOf } from "../http/responses.ts";
import { apiKeyBody, pageQuery } from "../http/schemas.ts";
import { listApiKeys } from "../store/api-keys.ts";
import { listEnvironments } from "../store/experiment-list.ts";
import { type ApiKeysView, apiKeysPage } from "./api-keys-page.ts";
import { parseTime } from "./experiment-fields.ts";
import { readForm } from "./forms.ts";
import { htmlResponse } from "./html-response.ts";
import { forbiddenPage, refusedFormPage } from "./message-pages.ts";
import { askToSignIn } from "./redirects.ts";
import type { Visitor, Visitors } from "./visitors.ts";

const blank = { name: "", environment_key: "", role: "read", expires_at: "" };
const firstPage = pageQuery.parse({});

/** The handlers of the page that lists, creates and revokes API keys. */
export function createApiKeyPages(deps: AppDeps, authentication: Authentication, { visitorOf }: Visitors) {
  const { database, clock } = deps;

  function forAdmins(handle: (c: Context<AppEnv>, visitor: Visitor) => Promise<Response>) {
    return async (c: Context<AppEnv>): Promise<Response> => {
      const visitor = await visitorOf(c, "admin");
      if (visitor === null) return askToSignIn(c);
      if (hasRight(visitor.caller, "admin")) return handle(c, visitor);
      return forbiddenPage(c, { signedIn: visitor.signedIn }, "API keys need ADMIN_TOKEN. Sign in with it.");
    };
  }

  async function show(
    c: Context<AppEnv>,
    visitor: Visitor,
    shown: Partial<ApiKeysView> = {},
    status = 200,
  ): Promise<Response> {
    const query = pageQuery.safeParse(c.req.query());
    const { limit, cursor } = query.success ? query.data : firstPage;
    const [rows, environments] = await Promise.all([
      listApiKeys(database, cursor ?? null, limit + 1),
      listEnvironments(database, null),
    ]);
    const page = pageOf(rows, limit);
    const main = apiKeysPage({
      fields: blank,
      errors: [],
      created: null,
      notice: null,
      environments,
      now: clock(),
      keys: page.shown,
      next: page.next_cursor,
      ...shown,
    });
    return htmlResponse(c, { title: "API keys", signedIn: visitor.signedIn }, main, { status });
  }

  return {
    show: forAdmins((c, visitor) => show(c, visitor)),
    create: forAdmins(async (c, visitor) => {
      const form = await readForm(c);
      if (!form.ok) return refusedFormPage(c, { signedIn: visitor.signedIn }, form.failure);
      const textOf = (name: string) => form.value.get(name) ?? "";
      const fields = {
        name: textOf("name"),
        environment_key: textOf("environment_key"),
        role: textOf("role"),
        expires_at: textOf("expires_at"),
      };
      const body = parseInput(apiKeyBody, {
        name: fields.name,
        role: fields.role,
        expires_at: parseTime(fields.expires_at),
        environment_key: fields.environment_key === "" ? null : fields.environment_key,
      });
      const created = body.ok ? await createApiKey(deps, c.var, body.value) : body;
      if (created.ok) return show(c, visitor, { created: { name: created.value.entry.name, key: created.value.key } });
      const { detail, status, errors = [] } = problemOf(created.failure);
      return show(c, visitor, { fields, errors, notice: errors.length > 0 ? null : detail }, status);
    }),
    revoke: forAdmins(async (c, visitor) => {
      const revoked = await revokeApiKey(deps, authentication, c.var, c.req.param("id") ?? "");
      if (revoked.ok) return c.redirect("/api-keys", 303);
      return show(c, visitor, { notice: "This key does not exist. It may have been revoked already." }, 404);
    }),
  };
}
