import { connect } from "node:net";
import type { WarehouseSettings } from "../../src/settings.ts";
import { startRuntime, varsFor } from "./worker.ts";

/** The product with nothing before it that would mend a broken request. */
export const startBare = (warehouse: WarehouseSettings) => startRuntime(varsFor(warehouse));

export type RawAnswer = {
  /** Null if the connection was closed without an answer. */
  status: number | null;
  headers: string;
  body: string;
  /** How many bytes were sent until the answer came. */
  sent: number;
};

type Ending =
  /** Waits for the answer. */
  | "wait"
  /** Says that nothing more comes, and waits for the answer. */
  | "finish"
  /** Is gone at once, without reading an answer. */
  | "vanish"
  /** Goes on with the last part until there is an answer or the connection is closed. */
  | "forever";

/** What takes more than this has no limit. */
const MAX_BYTES = 200 * 1024 * 1024;

/** Sends bytes as they are, and resolves with the first final answer, or with none when the connection is closed. */
export function sendRaw(url: URL, parts: readonly (string | Uint8Array)[], ending: Ending = "wait") {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const socket = connect(Number(url.port), url.hostname);
  let received = "";
  let sent = 0;
  const write = (part: string | Uint8Array) => {
    sent += part.length;
    return socket.write(part);
  };
  const settle = () => {
    const answer = readAnswer(received);
    if (answer === null) return false;
    socket.destroy();
    resolve({ ...answer, sent });
    return true;
  };
  socket.setTimeout(50_000, () => {
    socket.destroy();
    reject(new Error(`neither an answer nor the end after ${sent} bytes; received: ${received}`));
  });
  socket.on("data", (data) => {
    received += data;
    settle();
  });
  // The connection may be reset while we still write: what was received until then counts.
  socket.on("error", (error) => {
    if (sent > MAX_BYTES) reject(error);
  });
  socket.on("close", () => {
    if (!settle()) resolve({ status: null, headers: "", body: received, sent });
  });
  socket.on("connect", () => {
    for (const part of parts) write(part);
    if (ending === "finish") socket.end();
    if (ending === "vanish") socket.end(() => socket.destroy());
    if (ending === "forever") pump();
  });
  function pump() {
    while (!socket.destroyed) {
      if (sent > MAX_BYTES) return void socket.destroy(new Error("nobody stopped us"));
      if (!write(parts.at(-1) ?? "")) return void socket.once("drain", pump);
    }
  }
  return promise;
}

/** The first answer that is not just 100 Continue, once it is all there. */
function readAnswer(received: string): Omit<RawAnswer, "sent"> | null {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const headers = received.slice(0, end);
  const rest = received.slice(end + 4);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(headers)?.[1]);
  if (status === 100) return readAnswer(rest);
  const length = Number(/^content-length: *(\d+)/im.exec(headers)?.[1] ?? 0);
  return rest.length < length ? null : { status, headers, body: rest.slice(0, length) };
}
