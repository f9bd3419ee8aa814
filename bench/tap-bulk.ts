// Bulk TCP between the Linux kernel and one application, on the kernel's sockets and on our stack over a tap device:
// both directions, at the usual MTU and at the largest. Needs root; skips in words without.
import { connect, type Socket } from "node:net";
import type { Flow } from "@tesserae/device/flow";
import { unavailable } from "../test/namespace/namespace.ts";
import { main } from "./harness/main.ts";
import type { Contender, Race } from "./harness/race.ts";
import { Path, role, roleArgument, serverAddress, serverPort, stackOfRole, type PathOptions } from "./tap/path.ts";

/** How long one transfer lasts, in milliseconds. */
const duration = 1500;

/** The application: a connection's first byte says what to do. `D`: send for a while; `U`: count what comes. */
async function serve(): Promise<void> {
  const { stack, timers } = await stackOfRole();
  const block = new Uint8Array(65_536).fill(0x5a);
  const accept = async (flow: Flow): Promise<void> => {
    const into = new Uint8Array(262_144);
    let count = (await flow.read(into)) - 1;
    if (into[0] === 0x44) {
      const until = timers.now() + duration;
      while (timers.now() < until) await flow.write(block);
    } else {
      for (let got = await flow.read(into); got > 0; got = await flow.read(into)) count += got;
      await flow.write(new TextEncoder().encode(String(count)));
    }
    await flow.close();
  };
  await stack.tcp.listen({ port: serverPort }, accept);
  console.log("listening");
}

/** The generator: prints how many bits a second the application sent or took. */
async function generate(way: string): Promise<void> {
  let received = 0;
  let text = "";
  const buffer = Buffer.alloc(262_144);
  const socket: Socket = connect({
    host: serverAddress,
    port: serverPort,
    onread: {
      buffer,
      callback: (length) => {
        received += length;
        if (way === "U") text += buffer.toString("latin1", 0, length);
        return true;
      },
    },
  });
  await new Promise<void>((resolve, reject) => void socket.once("connect", resolve).once("error", reject));
  const ended = new Promise<void>((resolve, reject) => void socket.once("end", resolve).once("error", reject));
  const start = performance.now();
  socket.write(way);
  if (way === "U") {
    const block = Buffer.alloc(262_144, 0x5a);
    while (performance.now() - start < duration) {
      if (!socket.write(block)) await new Promise<void>((resolve) => void socket.once("drain", resolve));
    }
    socket.end();
  }
  await ended;
  const bytes = way === "U" ? Number(text) : received;
  console.log((bytes * 8000) / (performance.now() - start));
  socket.destroy();
}

async function races(): Promise<void> {
  const reason = unavailable("ethtool", "taskset");
  if (reason !== undefined) {
    console.log(`tap-bulk skipped: ${reason}`);
    return;
  }
  const setups: [name: string, options: PathOptions][] = [
    ["kernel sockets, MTU 1500, no offload", { stack: "kernel", mtu: 1500 }],
    ["kernel sockets, MTU 1500, offload", { stack: "kernel", mtu: 1500, offload: true }],
    ["our stack on tap, MTU 1500", { stack: "tap", mtu: 1500 }],
    ["our stack on tap, MTU 1500, without io_uring", { stack: "tap", mtu: 1500, uring: false }],
    ["our stack on tap, MTU 65521", { stack: "tap", mtu: 65_521 }],
  ];
  const paths: [string, Path][] = [];
  try {
    for (const [name, options] of setups) paths.push([name, await Path.open("serve", options)]);
    const race = (name: string, way: string): Race => ({
      name,
      unit: "bit/s",
      // The kernel at its best.
      rival: setups[1]![0],
      contenders: paths.map(([contender, path]): Contender => ({
        name: contender,
        measure: async () => Number(await path.generate("generate", way)),
      })),
    });
    await main([race("application receives", "U"), race("application sends", "D")], 5);
  } finally {
    for (const [, path] of paths) path.close();
  }
}

switch (role()) {
  case "serve":
    await serve();
    break;
  case "generate":
    await generate(roleArgument());
    break;
  default:
    await races();
}
