import type { World } from "@tesserae/sim/world";
import { iperf } from "./client.ts";

/** A client sends for two seconds over four streams, through a link of 20 Mb/s. */
export function scenario(world: World): void {
  const server = world.image("server", { link: { bandwidth: 2e7, delay: 10 } });
  const client = world.host("client");
  client.run(async ({ stack, timers, random, console }) => {
    await server.ready;
    const milliseconds = 2000;
    const bytes = await iperf(stack.tcp, timers, random, {
      ...{ address: server.address, port: 5201, milliseconds },
      parallel: 4,
    });
    const rate = (bytes * 8) / (milliseconds * 1000);
    console.writeLine(`${bytes} bytes arrived, ${rate.toFixed(1)} Mb/s`);
    if (rate < 10 || rate > 20) throw new Error(`${rate} Mb/s over a link of 20 Mb/s`);
  });
}
