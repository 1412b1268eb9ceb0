import { Agent, type IncomingMessage, request } from "node:http";

/** workerd closes a connection that is idle for 5 seconds. A request that was just sent on it would be lost. */
const agent = new Agent({ keepAlive: true, timeout: 4_000 });

export type Answer = { status: number; headers: Headers; text: string };

/** Sends a request, and reads its response. It takes about half the processor time of `fetch`, and follows no redirect. */
export function send(
  url: URL,
  method: string,
  headers: Record<string, string>,
  body: string | null = null,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const length = body === null ? {} : { "Content-Length": Buffer.byteLength(body) };
  const sent = request(url, { method, agent, headers: { ...headers, ...length } }, (response) => {
    read(response).then(resolve, reject);
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

function read(response: IncomingMessage): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  response.on("end", () => {
    const headers = new Headers();
    for (let index = 0; index < response.rawHeaders.length; index += 2)
      headers.append(response.rawHeaders[index] ?? "", response.rawHeaders[index + 1] ?? "");
    resolve({ status: response.statusCode ?? 0, headers, text });
  });
  response.on("error", reject);
  return promise;
}
