import { XenstoreClient } from "./client.ts";
import type { Connection } from "./connection.ts";
import type { Client } from "./server-options.ts";
import type { XenstoreServer } from "./server.ts";

const chunk = 4096;

/** A client of a server in the same program: bytes are carried when the caller's own work is done. */
export function connectInMemory(server: XenstoreServer, client: Client): { client: XenstoreClient; close(): void } {
  const buffer = new Uint8Array(chunk);
  const requests: Uint8Array[] = [];
  let offset = 0;
  let isQueued = false;
  const carry = (): void => {
    isQueued = false;
    for (let first = requests[0]; first !== undefined; first = requests[0]) {
      offset += connection.receive(first, offset, first.length - offset);
      if (offset < first.length) break;
      requests.shift();
      offset = 0;
    }
    for (let length = connection.take(buffer, 0, chunk); length > 0; length = connection.take(buffer, 0, chunk)) {
      near.receive(buffer, 0, length);
    }
  };
  const soon = (): void => {
    if (isQueued) return;
    isQueued = true;
    queueMicrotask(carry);
  };
  const near = new XenstoreClient({
    send: (bytes) => {
      requests.push(bytes);
      soon();
    },
  });
  const connection: Connection = server.connect(client, { wake: soon, closed: (reason) => near.end(reason) });
  return { client: near, close: () => connection.close("the client left") };
}
