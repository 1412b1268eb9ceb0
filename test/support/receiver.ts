import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request that came, and when. */
export type Received = { path: string; headers: Record<string, string>; body: string };

/** A server that takes alerts, or does with them what a test says. */
export async function startReceiver(port = 0) {
  const received: Received[] = [];
  /** What the next requests are answered, in turn; then each is taken. */
  const answers: { status: number; headers?: Record<string, string> }[] = [];
  const server = createServer(async (request, response) => {
    const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
    received.push({ path: request.url ?? "", headers: Object.fromEntries(headers), body: await text(request) });
    const { status, headers: answered = {} } = answers.shift() ?? { status: 204 };
    response.writeHead(status, answered).end();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=of-the-test`);
  return {
    url,
    received,
    answers,
    /** Those about an experiment. */
    about: (experimentId: string) =>
      received.filter(({ body }) => JSON.parse(body).data.experiment_id === experimentId),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;
