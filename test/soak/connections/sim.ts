import type { IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import { HostCrashedError, type Host } from "@tesserae/sim/host";
import type { World } from "@tesserae/sim/world";
import { sleep } from "@tesserae/time/sleep";
import { answer, drawExchange, exchange, port, type Exchange } from "./exchange.ts";

/** Connections of one run at most. */
const most = 300;
/** Longer than TIME-WAIT, linger, and the time after which a silent peer is given up, together. */
const afterwards = 900_000;

/**
 * Short connections between a few hosts, with random lengths and endings, through a random network and random faults.
 * Each ends as it should or fails with a FlowError; in the end nothing is left of any of them.
 */
export async function scenario(world: World): Promise<void> {
  const { choices } = world;
  world.lan("lan", network(world));
  const names = ["a", "b", "c", "d", "e", "f"].slice(0, choices.integer("hosts", 2, 6));
  const mtus = [1500, 576, 1280, 9000];
  const hosts = names.map((name) => world.host(name, { mtu: choices.pick(`${name}.mtu`, mtus), main: serve(world) }));
  const until = choices.size("span", 1000, 120_000);
  const faults = world.faults({ until, longest: 30_000 });
  const running: PromiseLike<void>[] = [];
  const connections = choices.size("connections", 1, most);
  for (let index = 1; index <= connections; index++) {
    const name = `c${index}`;
    if (!choices.chance(name, 1)) continue;
    const client = choices.pick(`${name}.from`, hosts);
    const others = hosts.filter((host) => host !== client);
    const server = choices.pick(`${name}.to`, others);
    const at = choices.integer(`${name}.at`, 0, until);
    const has6 = client.ipv6 !== undefined && server.ipv6 !== undefined;
    const to =
      choices.pick(`${name}.family`, has6 ? ([4, 6] as const) : ([4] as const)) === 6 ? server.ipv6 : server.ipv4;
    if (to === undefined) throw new TypeError("every host has an address");
    running.push(connection(world, client, to.address, at, drawExchange(choices, name)));
  }
  for (const each of running) await each;
  await faults.over;
  await sleep(world.timers, afterwards);
  for (const host of hosts) checkEmpty(host);
}

/** How the network treats frames, whatever else happens. */
function network(world: World): NonNullable<Parameters<World["lan"]>[1]> {
  const { choices } = world;
  const bandwidth = choices.pick("bandwidth", [Infinity, 1e9, 1e8, 1e7, 1e6]);
  return {
    bandwidth,
    queue: choices.size("queue", 10_000, 1_000_000),
    delay: choices.size("delay", 0, 200),
    jitter: choices.chance("jittery", 0.3) ? choices.size("jitter", 1, 50) : 0,
    loss: choices.chance("lossy", 0.5) ? choices.integer("loss", 1, 50) / 1000 : 0,
    duplicate: choices.chance("doubling", 0.2) ? choices.integer("double", 1, 50) / 1000 : 0,
    reorder: choices.chance("reordering", 0.3) ? choices.integer("reorder", 1, 100) / 1000 : 0,
    corrupt: choices.chance("corrupting", 0.2) ? choices.integer("corrupt", 1, 20) / 1000 : 0,
  };
}

function serve(world: World): (host: Host) => Promise<void> {
  return async (host) => {
    await host.stack.tcp.listen({ port, keepAlive: 20_000 }, async (flow) => {
      try {
        await answer(flow, host.timers);
      } catch (error) {
        // The peer, or the network: no news. Anything else ends the run.
        if (!(error instanceof FlowError)) throw error;
      }
    });
    world.count("starts");
  };
}

async function connection(world: World, client: Host, to: IpAddress, at: number, what: Exchange): Promise<void> {
  await sleep(world.timers, at);
  const { up } = client;
  if (!up) {
    world.count("not made");
    return;
  }
  world.count("connections");
  try {
    await client.run(async ({ stack, timers }) => {
      try {
        await exchange(stack.tcp, timers, to, what, () => world.count("established"));
        world.count("good");
      } catch (error) {
        if (!(error instanceof FlowError)) throw error;
        world.count(error.kind);
      }
    });
  } catch (error) {
    if (!(error instanceof HostCrashedError)) throw error;
    world.count("crashed");
  }
}

function checkEmpty(host: Host): void {
  const { connections, halfOpen, timeWait, bufferBytes } = host.ownStack.statistics.tcp;
  if (connections + halfOpen + timeWait + bufferBytes === 0) return;
  const left = host.ownStack.tcp.connections().map((each) => `${each.state} with port ${each.remote.port}`);
  throw new Error(
    `left on ${host.name}: ${connections} connections, ${halfOpen} half-open, ${timeWait} in TIME-WAIT, ` +
      `${bufferBytes} bytes of buffers: ${left.join("; ")}`,
  );
}
