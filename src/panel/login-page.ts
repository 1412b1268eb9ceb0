import { type Markup, markup } from "./markup.ts";

/** @param problem the reason why the last attempt failed */
export function loginPage(next: string, problem: string | null): Markup {
  return markup`<h1>Sign in</h1>
<form class="login" method="post" action="/login">
${problem === null ? "" : markup`<p class="problem" role="alert">${problem}</p>`}
<input type="hidden" name="next" value="${next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<p class="hint">Use an API key, READ_TOKEN or ADMIN_TOKEN.</p>
<button class="primary">Sign in</button>
</form>`;
}
