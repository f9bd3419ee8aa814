import type { Devices } from "@tesserae/config/config";
import type { config } from "./tesserae.config.ts";
import { receive, send } from "./transfer.ts";

/** Transfers a pattern of bytes from a client to a server, which checks every one of them and says how many it got. */
export async function main({ stack, resolver, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const serving = keys.role === "client" ? undefined : await receive(stack.tcp, keys.port, log);
  if (keys.role === "server") {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } else {
    const [address] = await resolver.resolve(keys.server, { signal });
    if (address === undefined) throw new Error(`${keys.server} has no address`);
    const started = timers.now();
    await send(stack.tcp, { address, port: keys.port }, keys.bytes);
    const elapsed = timers.now() - started;
    const megabits = (keys.bytes * 8) / elapsed / 1000;
    log.info("transferred", { bytes: keys.bytes, ms: elapsed.toFixed(0), megabitsPerSecond: megabits.toFixed(2) });
  }
  await serving?.close();
}
