import { assets } from "./assets.ts";
import { type Markup, markup } from "./markup.ts";

export type PageFrame = {
  /** Names in it are passed through `safeText`. */
  title: string;
  /** True: the page offers to sign out. False: it offers to sign in. Null: neither. */
  signedIn: boolean | null;
  /** True for a shared page, which links to no other page. */
  shared?: boolean;
};

const signOut = markup`<form method="post" action="/logout"><button class="plain">Sign out</button></form>`;

/** Wraps the content of a page in an HTML document. */
export function layout({ title, signedIn, shared = false }: PageFrame, main: Markup, loginPath: string): Markup {
  const home = shared
    ? markup`<span class="home">Edge exposures</span>`
    : markup`<a class="home" href="/">Edge exposures</a>`;
  const session = signedIn ? signOut : signedIn === null ? "" : markup`<a href="${loginPath}">Sign in</a>`;
  const menu = shared ? "" : markup`<nav><a href="/docs">API</a>${session}</nav>`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="${assets.icon.path}" type="image/svg+xml">
<link rel="stylesheet" href="${assets.style.path}">
<script src="${assets.script.path}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header>${home}${menu}</header>
<main id="main">${main}</main>
</body>
</html>`;
}
