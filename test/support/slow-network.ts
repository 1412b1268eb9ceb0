import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes of a page that a browser gets at once. */
const PIECE = 250;

/** Starts a server that passes on GET requests, and sends pages in pieces, each of which the browser can paint. */
export async function startSlowNetwork(origin: string) {
  const server = createServer(async (request, response) => {
    const { cookie = "" } = request.headers;
    const upstream = await fetch(new URL(request.url ?? "/", origin), { headers: { cookie } });
    const type = upstream.headers.get("Content-Type") ?? "";
    const body = Buffer.from(await upstream.arrayBuffer());
    const size = type.startsWith("text/html") ? PIECE : body.length;
    response.writeHead(upstream.status, { "Content-Type": type });
    for (let start = 0; start < body.length; start += size) {
      response.write(body.subarray(start, start + size));
      // A little longer than a frame.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, stop: () => server.close() };
}
