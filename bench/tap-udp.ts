// Bulk UDP between the Linux kernel and one application, on the kernel's sockets and on our stack over a tap device: both
// directions, many datagrams at once (UDP_SEGMENT, `sendMany`) and one by one. Needs root; skips in words without.
import { IpAddress } from "@tesserae/device/address";
import { mostAtOnce, type UdpSocket } from "@tesserae/device/udp";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { unavailable } from "../test/namespace/namespace.ts";
import { main } from "./harness/main.ts";
import type { Contender, Race } from "./harness/race.ts";
import { Path, role, roleArgument, serverAddress, serverPort, stackOfRole } from "./tap/path.ts";

/** How long one transfer lasts, in milliseconds. */
const duration = 1000;
/** Payload of each datagram, in bytes, and how many go at once. */
const size = 1400;
const atOnce = Math.min(mostAtOnce, 46);
/** Calls between two turns of the event loop. */
const calls = 8;
/** What a datagram of data begins with, and an order to send or to tell what came. */
const data = 0x5a;
const orderMany = 0x4d;
const orderEach = 0x45;
const orderCount = 0x3f;

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Sends as fast as it goes, and gives for how many milliseconds. */
async function flood(socket: UdpSocket, address: IpAddress, port: number, isMany: boolean): Promise<number> {
  const bytes = new Uint8Array(atOnce * size).fill(data);
  const start = performance.now();
  while (performance.now() - start < duration) {
    for (let call = 0; call < calls; call++) {
      if (isMany) socket.sendMany(bytes, 0, bytes.length, size, address, port);
      else for (let at = 0; at < bytes.length; at += size) socket.send(bytes, at, size, address, port);
    }
    await turn();
  }
  return performance.now() - start;
}

/** The application: counts what comes, tells how much, and sends for a while when it is told to. */
async function serve(): Promise<void> {
  const { stack } = await stackOfRole();
  let count = 0;
  const socket = await stack.udp.bind({ port: serverPort }, ({ bytes, offset, length, source, sourcePort }) => {
    const order = bytes[offset];
    if (order === data) count += length;
    else if (order === orderCount) {
      const answer = new TextEncoder().encode(String(count));
      socket.send(answer, 0, answer.length, source, sourcePort);
      count = 0;
    } else void flood(socket, source, sourcePort, order === orderMany);
  });
  console.log("listening");
}

/** The generator: prints how many bits a second the application took, or sent and we took. */
async function generate(way: string): Promise<void> {
  const isMany = way.endsWith("many");
  const address = IpAddress.parse(serverAddress);
  let received = 0;
  let first = 0;
  let last = 0;
  let answer = "";
  const socket = await createKernelStack().udp.bind({ address: IpAddress.any4 }, ({ bytes, offset, length }) => {
    if (bytes[offset] === data) {
      last = performance.now();
      if (received === 0) first = last;
      received += length;
    } else answer = new TextDecoder().decode(bytes.subarray(offset, offset + length));
  });
  const order = (what: number): boolean => socket.send(Uint8Array.of(what), 0, 1, address, serverPort);
  const pause = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => void setTimeout(resolve, milliseconds));
  const ask = async (): Promise<number> => {
    answer = "";
    // What is in queues comes first, and an order may be lost.
    for (let tries = 0; tries < 100 && answer === ""; tries++) {
      order(orderCount);
      await pause(100);
    }
    return Number(answer);
  };
  await ask();
  if (way.startsWith("U")) {
    const took = await flood(socket, address, serverPort, isMany);
    await pause(100);
    console.log(((await ask()) * 8000) / took);
  } else {
    order(isMany ? orderMany : orderEach);
    await pause(duration + 300);
    console.log((received * 8000) / (last - first));
  }
  await socket.close();
}

async function races(): Promise<void> {
  const reason = unavailable("ethtool", "taskset");
  if (reason !== undefined) {
    console.log(`tap-udp skipped: ${reason}`);
    return;
  }
  const rival = "kernel sockets, UDP_SEGMENT";
  const paths: Path[] = [];
  try {
    const kernel = await Path.open("serve", { stack: "kernel", mtu: 1500, offload: true });
    paths.push(kernel);
    const tap = await Path.open("serve", { stack: "tap", mtu: 1500 });
    paths.push(tap);
    const contender = (name: string, path: Path, way: string): Contender => ({
      name,
      measure: async () => Number(await path.generate("generate", way)),
    });
    const race = (name: string, way: string): Race => ({
      name,
      unit: "bit/s",
      rival,
      contenders: [
        contender(rival, kernel, `${way}-many`),
        contender("kernel sockets, one by one", kernel, `${way}-each`),
        contender("our stack on tap, many at once", tap, `${way}-many`),
        contender("our stack on tap, one by one", tap, `${way}-each`),
      ],
    });
    await main([race("application receives", "U"), race("application sends", "D")], 5);
  } finally {
    for (const path of paths) path.close();
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
