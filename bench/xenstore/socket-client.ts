import { connect, type Socket } from "node:net";
import process from "node:process";
import { RawClient } from "./raw-client.ts";

/** A client, and what ends it. */
export interface Connected {
  readonly client: RawClient;
  readonly close: () => void;
}

/** By path: when nobody is connecting there. */
const turns = new Map<string, Promise<unknown>>();

/**
 * A client over a Unix socket. One after the other: servers let a few wait to be taken, and of a thousand that try again
 * and again hardly anything but the trying would be measured.
 */
export function connectTo(socketPath: string): Promise<Connected> {
  const before = turns.get(socketPath) ?? Promise.resolve();
  const connected = before.catch(() => undefined).then(() => connectPatiently(socketPath));
  turns.set(socketPath, connected);
  return connected;
}

/** Where a blocking program would wait to be taken, it tries again. */
async function connectPatiently(socketPath: string): Promise<Connected> {
  for (;;) {
    try {
      return await connectOnce(socketPath);
    } catch (error) {
      // Node rejects with errors of the system.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** Requests of one turn of the loop go in one write. */
function connectOnce(socketPath: string): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(socketPath);
    let isCorked = false;
    const client = new RawClient((bytes) => {
      if (!isCorked) {
        isCorked = true;
        socket.cork();
        process.nextTick(() => {
          isCorked = false;
          socket.uncork();
        });
      }
      socket.write(bytes);
    });
    socket.on("data", (data: Buffer) => client.receive(data, data.length));
    socket.once("close", () => client.end());
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      socket.on("error", () => socket.destroy());
      resolve({ client, close: () => void socket.end() });
    });
  });
}
