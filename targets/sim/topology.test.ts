import { describe, expect, test } from "vitest";
import type { Host } from "./host.ts";
import { SeededRandom } from "./random.ts";
import { chain, createTopology, dumbbell, mesh, star, tree, type TopologyPlan } from "./topology.ts";
import { createWorld } from "./world.ts";

/** Pings from each of the hosts to each. */
async function all(plan: TopologyPlan, pick: (host: Host) => boolean = () => true) {
  const world = createWorld({ seed: "topology", link: { delay: 1 } });
  const topology = createTopology(world, plan);
  const hosts = topology.hosts.filter(pick);
  let answered = 0;
  world.task("pings", async () => {
    await topology.ready();
    for (const from of hosts) {
      for (const to of hosts) {
        if (from === to) continue;
        await from.ownStack.icmp.ping(to.address, { timeout: 5000 });
        answered++;
      }
    }
  });
  await world.run();
  await world.close();
  expect(answered).toBe(hosts.length * (hosts.length - 1));
  return { world, topology };
}

describe("topologies", () => {
  test("a star: hosts around one switch", async () => {
    const { topology } = await all(star(5));
    expect(topology.hosts.map((host) => String(host.ipv4))).toEqual([1, 2, 3, 4, 5].map((last) => `10.1.0.${last}/16`));
  });

  test("a dumbbell: everybody shares one bottleneck", async () => {
    const { topology } = await all(dumbbell(2, { delay: 10 }), ({ name }) => /left|right/.test(name));
    const { forward, backward } = topology.link("west", "east");
    // Each of 8 pairs of hosts on different sides asks and answers, and the routers ask for each other.
    expect(forward.delivered).toBeGreaterThanOrEqual(8);
    expect(backward.delivered).toBeGreaterThanOrEqual(8);
    expect(topology.host("west").forwarding?.forwarded).toBeGreaterThanOrEqual(16);
  });

  test("a chain: each router takes one hop", async () => {
    const world = createWorld();
    const topology = createTopology(world, chain(5, { delay: 10 }));
    world.task("test", async () => {
      await topology.ready();
      const [first, last] = [topology.host("first"), topology.host("last")];
      await first.ownStack.icmp.ping(last.address, { timeout: 5000 });
      expect(await first.ownStack.icmp.ping(last.address)).toBeCloseTo(120, 6);
      topology.link("r2", "r3").cut();
      await expect(first.ownStack.icmp.ping(last.address, { timeout: 5000 })).rejects.toThrow();
    });
    await world.run();
    await world.close();
  });

  test("a tree, and routers joined at random: everybody reaches everybody", async () => {
    await all(tree(2, 3), ({ name }) => name.startsWith("h0") || name === "h2-2" || name === "root");
    const random = new SeededRandom("mesh");
    await all(mesh(random, { routers: 12, more: 8, hosts: 6 }), ({ name }) => name.startsWith("h"));
  });

  test("LANs with a router between them, and hosts of all kinds", async () => {
    const { topology } = await all({
      routers: ["gate", "far"],
      lans: { office: { hosts: ["a", "b", "gate"] }, lab: { delay: 5, hosts: ["c", "far"] } },
      links: [["gate", "far", { bandwidth: 1_000_000, delay: 20 }]],
      options: (name) => (name === "c" ? { clock: { rate: 1.01 } } : {}),
    });
    expect(topology.lan("lab").switch.addresses).toBe(2);
    expect(() => topology.host("nobody")).toThrow(`there is no host "nobody" in the topology`);
  });

  test("a partition holds across routers", async () => {
    const world = createWorld();
    const topology = createTopology(world, chain(2));
    world.task("test", async () => {
      await topology.ready();
      const [first, last] = [topology.host("first"), topology.host("last")];
      world.partition(["first"], ["last"]);
      await expect(first.ownStack.icmp.ping(last.address, { timeout: 3000 })).rejects.toThrow();
      await topology.host("r0").ownStack.icmp.ping(last.address);
      world.heal();
      await first.ownStack.icmp.ping(last.address);
    });
    await world.run();
    await world.close();
  });

  test("NAT: hosts inside share the router's address", async () => {
    const world = createWorld();
    const inside = world.host("inside", { ipv4: "192.168.0.2/24", gateway: "192.168.0.1", lan: "home" });
    const outside = world.host("outside", { ipv4: "203.0.113.9/24", lan: "internet" });
    world.router(
      "router",
      [
        { ipv4: "192.168.0.1/24", lan: "home" },
        { ipv4: "203.0.113.1/24", lan: "internet" },
      ],
      { forwarding: { nat: { outside: 2 } } },
    );
    const seen: string[] = [];
    inside.run(async ({ stack }) => {
      await outside.ready;
      await outside.stack.tcp.listen({ port: 80 }, (flow) => {
        seen.push(String(flow.remote.address));
        return flow.close();
      });
      const flow = await stack.tcp.connect({ address: outside.address, port: 80 });
      expect(await flow.read(new Uint8Array(1))).toBe(0);
      await flow.close();
    });
    await world.run();
    await world.close();
    expect(seen).toEqual(["203.0.113.1"]);
  });

  test.each<[TopologyPlan, string]>([
    [{ routers: ["r"], links: [["a", "b"]] }, `router "r" is in no network`],
    [
      {
        links: [
          ["a", "b"],
          ["b", "a"],
        ],
      },
      `there are two links between "b" and "a"`,
    ],
    [{ lans: { x: { hosts: ["a", "a"] } } }, `host "a" is twice in one network`],
  ])("refuses %j", (plan, message) => {
    expect(() => createTopology(createWorld(), plan)).toThrow(message);
  });
});
