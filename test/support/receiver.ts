import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export type Received = { path: string; headers: Record<string, string>; body: string };

/** Starts a server that accepts alerts, or sends the responses that a test queues. */
export async function startReceiver(port = 0) {
  const received: Received[] = [];
  /** The responses to the next requests, in order; null: the receiver never responds. Without one, the response is 204. */
  const responses: ({ status: number; headers?: Record<string, string> } | null)[] = [];
  const server = createServer(async (request, response) => {
    const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
    received.push({ path: request.url ?? "", headers: Object.fromEntries(headers), body: await text(request) });
    const [next = { status: 204 }] = responses.splice(0, 1);
    if (next !== null) response.writeHead(next.status, next.headers).end();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=of-the-test`);
  return {
    url,
    received,
    responses,
    deliveriesFor: (experimentId: string) =>
      received.filter(({ body }) => JSON.parse(body).data.experiment_id === experimentId),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;
