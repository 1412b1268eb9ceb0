import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { fireTrigger } from "../../src/dev/trigger.ts";
import { failed, ok } from "../../src/result.ts";
import { freePort } from "../support/free-port.ts";

/** Starts a server, and returns its URL. */
async function serve(listener: RequestListener): Promise<URL> {
  const port = await freePort();
  const server = createServer(listener).listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${port}/`);
}

describe("fireTrigger", () => {
  it.each([200, 500])("resolves when the sweep has ended with %i", async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end("done"));
    expect(await fireTrigger(url)).toEqual(ok(null));
  });

  it("does not use fetch, which would time out after five minutes", async () => {
    const fetching = vi.spyOn(globalThis, "fetch");
    onTestFinished(() => fetching.mockRestore());
    await fireTrigger(await serve((_, response) => response.end()));
    expect(fetching).not.toHaveBeenCalled();
  });

  it("fails with the reason when nothing listens", async () => {
    const url = new URL(`http://127.0.0.1:${await freePort()}/`);
    expect(await fireTrigger(url)).toEqual(failed(expect.stringContaining("ECONNREFUSED")));
  });

  it.each([
    { moment: "before the answer", answer: "" },
    { moment: "within the answer", answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" },
  ])("fails with the reason when the connection ends $moment", async ({ answer }) => {
    const url = await serve(({ socket }) => socket.end(answer));
    expect(await fireTrigger(url)).toEqual(failed(expect.any(String)));
  });
});
