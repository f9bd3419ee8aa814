import { FlowError, type Flow } from "@tesserae/device/flow";
import { XenstoreClient } from "./client.ts";
import type { Carrier, Line } from "./connection.ts";
import type { Client } from "./server-options.ts";

const chunk = 16_384;

/** A server as those see it who bring it clients. */
export interface Connects {
  connect(client: Client, carrier: Carrier): Line;
}

/** A server as those see it who bring it domains. */
export interface Serves extends Connects {
  /** The domain is destroyed. */
  release(domain: number): void;
  /** Some domain is not what it was: those who watch for releases look. */
  announceRelease(): void;
}

/**
 * Serves one client over a flow, until it ends. The flow is closed then.
 *
 * @throws FlowError (rejects) when the flow fails otherwise than by its end.
 */
export async function serveFlow(server: Connects, flow: Flow, client: Client): Promise<void> {
  const input = new Uint8Array(chunk);
  const output = new Uint8Array(chunk);
  let wakeReader: (() => void) | undefined;
  let isWriting = false;
  const write = async (): Promise<void> => {
    isWriting = true;
    try {
      for (;;) {
        const length = connection.take(output, 0, output.length);
        if (length === 0) return;
        await flow.write(output.subarray(0, length));
      }
    } catch {
      // The reader hears of it, too.
      connection.close("it takes nothing any more");
    } finally {
      isWriting = false;
    }
  };
  const connection: Line = server.connect(client, {
    wake: () => {
      if (!isWriting && connection.hasOutput) void write();
      wakeReader?.();
    },
    closed: () => {
      flow.abort();
      wakeReader?.();
    },
  });
  try {
    for (;;) {
      const length = await flow.read(input);
      if (length === 0) break;
      for (let offset = 0; offset < length;) {
        const taken = connection.receive(input, offset, length - offset);
        offset += taken;
        if (offset === length) break;
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
        wakeReader = undefined;
      }
    }
    await flow.close();
  } catch (error) {
    if (!(error instanceof FlowError) || !connection.isOver) throw error;
  } finally {
    connection.close("the client left");
  }
}

/** A client over a flow, which is the client's from now on. It is over when the flow is. */
export function clientOverFlow(flow: Flow): XenstoreClient {
  let sending: Promise<void> = Promise.resolve();
  const client = new XenstoreClient({
    send: (bytes) => {
      sending = sending.then(() => flow.write(bytes)).catch((error: unknown) => client.end(String(error)));
    },
  });
  const input = new Uint8Array(chunk);
  const hear = async (): Promise<void> => {
    for (;;) {
      const length = await flow.read(input);
      if (length === 0) break;
      client.receive(input, 0, length);
    }
    client.end("the server left");
  };
  hear().catch((error: unknown) => client.end(String(error)));
  return client;
}
