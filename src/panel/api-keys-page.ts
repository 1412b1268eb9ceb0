import type { InputError } from "../http/problem.ts";
import { type ApiKey, roles } from "../store/api-keys.ts";
import { timeOf } from "./badges.ts";
import { inputField, selectField } from "./form-fields.ts";
import { type Markup, markup, safeText } from "./markup.ts";

export type ApiKeyFields = { name: string; environment_key: string; role: string; expires_at: string };

export type ApiKeysView = {
  keys: readonly ApiKey[];
  /** The cursor of the next page; null: there is none. */
  next: string | null;
  fields: ApiKeyFields;
  errors: readonly InputError[];
  /** A key that has just been made. It is shown once. */
  created: { name: string; key: string } | null;
  notice: string | null;
  environments: readonly string[];
  now: number;
};

export function apiKeysPage(view: ApiKeysView): Markup {
  const { keys, next, created, notice, now } = view;
  return markup`<h1>API keys</h1>
${notice === null ? "" : markup`<p class="problem" role="alert">${notice}</p>`}
${created === null ? "" : createdKey(created)}
${
  keys.length === 0
    ? markup`<p class="empty">No keys yet. Create a key for each client or person. It can have fewer rights than ADMIN_TOKEN, and can be revoked.</p>`
    : markup`<table class="cards">
<thead><tr><th scope="col">Key</th><th scope="col">Role</th><th scope="col">Environment</th><th scope="col">Created</th><th scope="col">Expires</th><td></td></tr></thead>
<tbody>${keys.map((key) => rowOf(key, now))}</tbody></table>`
}
${next === null ? "" : markup`<nav class="pages" aria-label="Pages"><a rel="next" href="/api-keys?cursor=${encodeURIComponent(next)}">More</a></nav>`}
${newKey(view)}`;
}

function createdKey({ name, key }: { name: string; key: string }): Markup {
  return markup`<div class="empty" role="status"><p><label for="created">The key ${safeText(name)}. Copy it now, because it is not shown again:</label></p>
<p><input id="created" class="link" readonly autofocus value="${key}"></p>
<button type="button" class="copy" data-copy="created">Copy</button></div>`;
}

function rowOf({ id, name, role, environmentKey, createdAt, expiresAt }: ApiKey, now: number): Markup {
  const isExpired = expiresAt !== null && expiresAt <= now;
  return markup`<tr><th scope="row">${safeText(name)}<span class="sub">${id}</span></th>
<td>${role}</td><td data-label="environment">${environmentKey === null ? "all" : safeText(environmentKey)}</td><td data-label="created">${timeOf(createdAt)}</td>
<td data-label="expires">${expiresAt === null ? "never" : timeOf(expiresAt)}${isExpired ? markup` <span class="badge warning">expired</span>` : ""}</td>
<td><details><summary aria-label="Revoke ${safeText(name)}">Revoke</summary><form method="post" action="/api-keys/${encodeURIComponent(id)}/revoke">
<p class="sub">Clients that use it get 401 within 60 seconds. Its sessions and shared links end.</p>
<button class="danger">Revoke for good</button></form></details></td></tr>`;
}

function newKey({ fields, errors, environments }: ApiKeysView): Markup {
  const state = { errors, focus: errors[0]?.path ?? null };
  return markup`<form class="edit" method="post" action="/api-keys"><fieldset><legend>New key</legend>
${inputField(state, { path: "name", label: "Name", value: fields.name, hint: "The client or person that uses it." })}
<div class="pair">${selectField(
    state,
    { path: "role", label: "Role", value: fields.role },
    roles.map((role) => [role, role]),
  )}
${inputField(state, { path: "environment_key", label: "Environment", value: fields.environment_key, list: "environments", hint: "Empty: all environments." })}
${inputField(state, { path: "expires_at", label: "Expires (UTC)", value: fields.expires_at, type: "datetime-local", hint: "Empty: never." })}</div>
<button class="primary">Create key</button></fieldset>
<datalist id="environments">${environments.map((key) => markup`<option value="${key}"></option>`)}</datalist></form>`;
}
