import { connect } from "node:net";
import type { WarehouseSettings } from "../../src/settings.ts";
import { startRuntime, varsFor } from "./worker.ts";

/** Starts the product without a proxy, which would repair malformed requests. */
export const startWithoutProxy = (warehouse: WarehouseSettings) => startRuntime(varsFor(warehouse));

export type RawResponse = {
  /** Null if the connection closed without a response. */
  status: number | null;
  headers: string;
  body: string;
  /** The number of bytes sent before the response. */
  sent: number;
};

type Ending =
  /** Keeps the connection open and waits for the response. */
  | "wait"
  /** Half-closes the connection and waits for the response. */
  | "end"
  /** Closes the connection without reading a response. */
  | "abort"
  /** Repeats the last part until there is a response or the connection closes. */
  | "endless";

/** A server that accepts more than this has no limit. */
const MAX_BYTES = 200 * 1024 * 1024;

/** Sends raw bytes, and resolves with the first final response, or with status null when the connection closes. */
export function sendRaw(url: URL, parts: readonly (string | Uint8Array)[], ending: Ending = "wait") {
  const { promise, resolve, reject } = Promise.withResolvers<RawResponse>();
  const socket = connect(Number(url.port), url.hostname);
  let received = "";
  let sent = 0;
  const write = (part: string | Uint8Array) => {
    sent += part.length;
    return socket.write(part);
  };
  const settle = () => {
    const response = readResponse(received);
    if (response === null) return false;
    socket.destroy();
    resolve({ ...response, sent });
    return true;
  };
  socket.setTimeout(50_000, () => {
    socket.destroy();
    reject(new Error(`No response and no close after ${sent} bytes. Received: ${received}`));
  });
  socket.on("data", (data) => {
    received += data;
    settle();
  });
  // The server may reset the connection during a write. The bytes received so far still count.
  socket.on("error", (error) => {
    if (sent > MAX_BYTES) reject(error);
  });
  socket.on("close", () => {
    if (!settle()) resolve({ status: null, headers: "", body: received, sent });
  });
  socket.on("connect", () => {
    for (const part of parts) write(part);
    if (ending === "end") socket.end();
    if (ending === "abort") socket.end(() => socket.destroy());
    if (ending === "endless") pump();
  });
  function pump() {
    while (!socket.destroyed) {
      if (sent > MAX_BYTES) return void socket.destroy(new Error("The server accepted more than MAX_BYTES."));
      if (!write(parts.at(-1) ?? "")) return void socket.once("drain", pump);
    }
  }
  return promise;
}

/** Parses the first complete response other than 100 Continue, or returns null. */
function readResponse(received: string): Omit<RawResponse, "sent"> | null {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const headers = received.slice(0, end);
  const rest = received.slice(end + 4);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(headers)?.[1]);
  if (status === 100) return readResponse(rest);
  const length = Number(/^content-length: *(\d+)/im.exec(headers)?.[1] ?? 0);
  return rest.length < length ? null : { status, headers, body: rest.slice(0, length) };
}
