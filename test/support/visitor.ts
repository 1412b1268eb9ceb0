import type { TestWorker } from "./worker.ts";

export type PageResponse = { status: number; headers: Headers; text: string };

/** Sends requests as a browser does, without following redirects. */
export function browse({ fetch }: Pick<TestWorker, "fetch">, cookie = "", extraHeaders: Record<string, string> = {}) {
  async function send(
    method: string,
    path: string,
    init: RequestInit,
    headers: Record<string, string>,
  ): Promise<PageResponse> {
    const allHeaders = { ...(cookie === "" ? {} : { Cookie: cookie }), ...extraHeaders, ...headers };
    const response = await fetch(path, { method, redirect: "manual", ...init, headers: allHeaders });
    return { status: response.status, headers: new Headers([...response.headers]), text: await response.text() };
  }
  const sameOrigin = { "Sec-Fetch-Site": "same-origin" };
  return {
    cookie,
    get: (path: string, headers: Record<string, string> = {}) => send("GET", path, {}, headers),
    head: (path: string) => send("HEAD", path, {}, {}),
    /** Submits a form, by default as from a page of the same origin. */
    post: (path: string, form: Record<string, string> = {}, headers: Record<string, string> = sameOrigin) =>
      send("POST", path, { body: new URLSearchParams(form) }, headers),
    postAs: (path: string, body: string, headers: Record<string, string>) =>
      send("POST", path, { body }, { ...sameOrigin, ...headers }),
  };
}

/** Signs in through the form, and returns a browser with the session cookie. */
export async function signInWith(
  worker: Pick<TestWorker, "fetch">,
  token: string,
  extraHeaders: Record<string, string> = {},
) {
  const response = await browse(worker, "", extraHeaders).post("/login", { token });
  if (response.status !== 303) throw new Error(`sign-in failed: ${response.status}`);
  return browse(worker, cookieOf(response), extraHeaders);
}

/** Returns the cookie that a response sets, as a browser sends it back. */
export function cookieOf({ headers }: PageResponse): string {
  return (headers.get("Set-Cookie") ?? "").split(";")[0] ?? "";
}
