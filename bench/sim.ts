// The simulator against ns-3 (Debian: libns3-dev), a simulator in C++: datagrams, TCP, and hosts started.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import type { Host } from "@tesserae/sim/host";
import { createWorld, type World } from "@tesserae/sim/world";
import { main } from "./harness/main.ts";
import type { Contender } from "./harness/race.ts";

const rivalName = "ns-3";
// Taken before a simulation replaces the global one.
const realNow = performance.now.bind(performance);

/** Compiles the rival, unless that was done since it was changed. */
function compile(): string {
  const source = path.resolve("bench/sim/ns3.cc");
  const program = path.resolve("out/bench-ns3");
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  const modules = ["applications", "csma", "internet", "point-to-point", "network", "core"];
  const libraries = modules.map((name) => `-lns3-${name}`);
  mkdirSync(path.dirname(program), { recursive: true });
  execFileSync("g++", ["-O2", "-std=c++17", "-o", program, source, ...libraries], { stdio: "inherit" });
  return program;
}

function rival(program: string, what: string): Contender {
  return { name: rivalName, measure: () => Number(execFileSync(program, [what], { encoding: "utf8" })) };
}

/** @param work makes a world, and says how much was done when it has run */
function ours(work: (world: World) => () => number, whole = false): Contender {
  return {
    name: "ours",
    async measure() {
      let start = realNow();
      const world = createWorld({ seed: "bench" });
      const done = work(world);
      if (!whole) start = realNow();
      await world.run();
      const rate = (done() * 1000) / (realNow() - start);
      await world.close();
      return rate;
    },
  };
}

function pairs(world: World, count: number, settings: { readonly bandwidth: number; readonly delay: number }) {
  return Array.from({ length: count }, (_, index): readonly [Host, Host] => {
    const server = world.host(`server${index}`);
    const client = world.host(`client${index}`);
    world.link(server, client, settings);
    return [server, client];
  });
}

/** 50 pairs of hosts; one of each sends 512 bytes every millisecond for two seconds. */
const datagrams = ours((world) => {
  let received = 0;
  for (const [server, client] of pairs(world, 50, { bandwidth: 1e9, delay: 1 })) {
    client.run(async ({ stack, timers }) => {
      await server.ready;
      await server.stack.udp.bind({ port: 9 }, () => received++);
      const socket = await stack.udp.bind({}, () => undefined);
      const payload = new Uint8Array(512);
      let sent = 0;
      await new Promise<void>((done) => {
        const timer = timers.timer(() => {
          socket.send(payload, 0, payload.length, server.address, 9);
          if (++sent < 2000) timer.set(timers.now() + 1);
          else timers.timer(done).set(timers.now() + 10);
        });
        timer.set(timers.now());
      });
    });
  }
  return () => received;
});

/** 10 pairs of hosts; one of each sends 5 MB through 100 Mbit/s and 5 ms. */
const tcp = ours((world) => {
  let received = 0;
  for (const [server, client] of pairs(world, 10, { bandwidth: 1e8, delay: 5 })) {
    client.run(async ({ stack }) => {
      await server.ready;
      await server.stack.tcp.listen({ port: 7 }, async (flow) => {
        const buffer = new Uint8Array(65_536);
        for (let length = await flow.read(buffer); length > 0; length = await flow.read(buffer)) received += length;
        await flow.close();
      });
      const flow = await stack.tcp.connect({ address: server.address, port: 7 });
      await flow.write(new Uint8Array(5_000_000));
      await flow.end();
      await flow.read(new Uint8Array(1));
      await flow.close();
    });
  }
  return () => {
    if (received !== 50_000_000) throw new Error(`${received} bytes arrived`);
    return received / 1e6;
  };
});

/** 1000 hosts on ten LANs. */
const hosts = ours((world) => {
  const all = Array.from({ length: 1000 }, (_, index) => world.host(`h${index}`, { lan: `lan${index % 10}` }));
  world.task("ready", async () => {
    await Promise.all(all.map((host) => host.ready));
    await new Promise<void>((done) => world.timers.timer(done).set(10));
  });
  return () => all.length;
}, true);

if (existsSync("/usr/include/ns3/core-module.h")) {
  const program = compile();
  await main(
    [
      {
        name: "datagrams",
        unit: "datagrams/s",
        rival: rivalName,
        contenders: [rival(program, "datagrams"), datagrams],
      },
      { name: "tcp", unit: "MB/s", rival: rivalName, contenders: [rival(program, "tcp"), tcp] },
      { name: "start", unit: "hosts/s", rival: rivalName, contenders: [rival(program, "hosts"), hosts] },
    ],
    7,
  );
} else console.log("sim skipped: ns-3 is not installed: apt-get install libns3-dev g++");
