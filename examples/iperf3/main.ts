import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { IperfServer } from "./server.ts";
import type { config } from "./tesserae.config.ts";

/** Serves `iperf3 -c` over TCP: both ways, one after the other or at once, many streams; until it is told to stop. */
export async function main({ stack, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const server = new IperfServer(timers, (line) => log.info(line));
  const listener = await stack.tcp.listen({ port: keys.port }, (flow) => server.accept(flow));
  log.info("serving iperf3", { at: formatEndpoint(listener.local) });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await listener.close();
}
