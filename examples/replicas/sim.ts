import type { World } from "@tesserae/sim/world";
import { sleep } from "@tesserae/time/sleep";
import { request } from "./request.ts";

/** Writes at replicas while partitions come and go. Once all is well again, they must agree. */
export async function scenario(world: World): Promise<void> {
  const names = ["a", "b", "c"];
  const replicas = names.map((name) => world.image(name, { keys: { name, peers: names.join(" ") } }));
  const client = world.host("client");
  const ask = (replica: (typeof replicas)[number], line: string): Promise<string> =>
    request(client.stack.tcp, replica.address, 7000, line);

  await client.run(async () => {
    for (const replica of replicas) await replica.ready;
    const faults = world.faults({ partitions: 2, hosts: replicas, until: 15_000 });
    for (let second = 1; second <= 15; second++) {
      await sleep(client.timers, 1000);
      if (world.choices.chance(`write.${second}`, 0.5)) {
        await ask(world.choices.pick(`write.${second}.at`, replicas), `set x ${second}`);
      }
    }
    await faults.over;
    await sleep(client.timers, 5000);
    const values = await Promise.all(replicas.map((replica) => ask(replica, "get x")));
    if (new Set(values).size > 1) throw new Error(`the replicas do not agree: ${values.join(", ")}`);
  });
}
