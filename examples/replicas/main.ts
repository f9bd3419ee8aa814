import type { Devices } from "@tesserae/config/config";
import { sleep } from "@tesserae/time/sleep";
import { readAll, request } from "./request.ts";
import { Store } from "./store.ts";
import type { config } from "./tesserae.config.ts";

/** How often a replica tells the others all that it holds, in milliseconds. */
const round = 1000;

/**
 * A replica of a small key-value store. A client may write at any of them; what is written is told to the others at
 * once, and again every second, so that those that could not be reached learn of it later.
 */
export async function main({ stack, resolver, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const store = new Store(keys.name, keys.bug);
  const peers = keys.peers.split(" ").filter((each) => each !== "" && each !== keys.name);

  const tell = async (key: string): Promise<void> => {
    const entry = store.get(key);
    if (entry === undefined) return;
    const line = `merge ${key} ${entry.version} ${entry.origin} ${entry.value}`;
    await Promise.allSettled(
      peers.map(async (peer) => {
        const [address] = await resolver.resolve(peer);
        if (address !== undefined) await request(stack.tcp, address, keys.port, line);
      }),
    );
  };

  const listener = await stack.tcp.listen({ port: keys.port }, async (flow) => {
    const [verb, key = "", ...rest] = (await readAll(flow)).split(" ");
    let answer = "ok";
    if (verb === "set") {
      store.set(key, rest.join(" "));
      // The client need not wait for replicas that cannot be reached now.
      void tell(key);
    } else if (verb === "get") answer = store.get(key)?.value ?? "";
    else if (verb === "merge") {
      const [version = "", origin = "", ...value] = rest;
      store.merge(key, { version: Number(version), origin, value: value.join(" ") });
    } else answer = "what?";
    await flow.write(new TextEncoder().encode(answer));
    await flow.close();
  });

  log.info("serving", { name: keys.name });
  try {
    for (;;) {
      await sleep(timers, round, signal);
      for (const [key] of store.entries) await tell(key);
    }
  } finally {
    await listener.close();
  }
}
