import type { TestWorker } from "./worker.ts";

export type Answer = { status: number; headers: Headers; text: string };

/** What a browser does on the pages, without following redirects. */
export function browse({ fetch }: Pick<TestWorker, "fetch">, cookie = "", more: Record<string, string> = {}) {
  async function send(
    method: string,
    path: string,
    init: RequestInit,
    headers: Record<string, string>,
  ): Promise<Answer> {
    const sent = { ...(cookie === "" ? {} : { Cookie: cookie }), ...more, ...headers };
    const answer = await fetch(path, { method, redirect: "manual", ...init, headers: sent });
    return { status: answer.status, headers: new Headers([...answer.headers]), text: await answer.text() };
  }
  const own = { "Sec-Fetch-Site": "same-origin" };
  return {
    cookie,
    get: (path: string, headers: Record<string, string> = {}) => send("GET", path, {}, headers),
    head: (path: string) => send("HEAD", path, {}, {}),
    /** A form of our own pages, if the headers do not say otherwise. */
    post: (path: string, form: Record<string, string> = {}, headers: Record<string, string> = own) =>
      send("POST", path, { body: new URLSearchParams(form) }, headers),
    postAs: (path: string, body: string, headers: Record<string, string>) =>
      send("POST", path, { body }, { ...own, ...headers }),
  };
}

/** Signs in on the page, and browses from then on. */
export async function signInWith(worker: Pick<TestWorker, "fetch">, token: string, more: Record<string, string> = {}) {
  const answer = await browse(worker, "", more).post("/login", { token });
  if (answer.status !== 303) throw new Error(`not signed in: ${answer.status}`);
  return browse(worker, cookieOf(answer), more);
}

/** As a browser sends it back. */
export function cookieOf({ headers }: Answer): string {
  return (headers.get("Set-Cookie") ?? "").split(";")[0] ?? "";
}
