import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { config } from "./tesserae.config.ts";

/** Sends back what it gets, over TCP and UDP (RFC 862), until it is told to stop. */
export async function main({ stack, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const listener = await stack.tcp.listen({ port: keys.port }, echo);
  const socket = await stack.udp.bind({ port: keys.port }, ({ bytes, offset, length, source, sourcePort }) => {
    socket.send(bytes, offset, length, source, sourcePort);
  });
  log.info("echoing", { tcp: formatEndpoint(listener.local), udp: formatEndpoint(socket.local) });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.all([listener.close(), socket.close()]);
}

async function echo(flow: Flow): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) break;
    await flow.write(buffer.subarray(0, length));
  }
  await flow.close();
}
