// An image on the kernel's sockets as several instances: flows are spread, counters summed, a death ends all.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { batchedUdp } from "@tesserae/node/batched-udp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { bundle, Running, type Bundle } from "./process.ts";

const source = `
import { boot } from "@tesserae/node/boot";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { instance } from "@tesserae/node/instance";

await boot({
  name: "spread",
  target: "node",
  keys: [
    { name: "port", type: { kind: "port" }, doc: "UDP and TCP port" },
    { name: "act", type: { kind: "string" }, default: "serve", doc: "what else to do" },
  ],
  constants: {},
  devices: [
    { id: "console", kind: "console", base: true },
    { id: "stack", kind: "stack", implementation: "kernel", create: createKernelStack, needs: {}, options: {} },
  ],
  bindings: { stack: "stack", console: "console" },
  async main({ stack, console, keys, signal }) {
    const { index, count } = instance();
    if (keys.act === "end") return;
    const own = new Uint8Array([index]);
    const socket = await stack.udp.bind({ port: keys.port }, ({ bytes, offset, source, sourcePort }) => {
      if (bytes[offset] === 9 && index === 1) throw new Error("never");
      socket.send(own, 0, 1, source, sourcePort);
    });
    await stack.tcp.listen({ port: keys.port }, async (flow) => {
      await flow.write(own);
      await flow.close();
    });
    const free = await stack.udp.bind({}, () => undefined);
    console.writeLine("instance " + index + " of " + count + " has " + free.local.port);
    if (keys.act === "die" && index === 1) setTimeout(() => { throw new Error("deliberate"); }, 50);
    if (keys.act === "exit" && index === 1) setTimeout(() => process.exit(7), 50);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    console.writeLine("instance " + index + " is over");
  },
});
`;

let image: Bundle;
let started: Running[] = [];
beforeAll(async () => {
  image = await bundle(source);
});
afterAll(() => image.remove());
afterEach(() => {
  for (const each of started) each.child.kill("SIGKILL");
  started = [];
});

/** A port that nobody has now, above the ones that the kernel gives out itself. */
const port = 61_000 + (process.pid % 4000);

function run(...args: string[]): Running {
  const running = new Running([process.execPath, image.file, "--port", String(port), ...args]);
  started.push(running);
  return running;
}

/** Which instance answers a datagram from a port of its own. */
function askUdp(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.once("message", (bytes) => {
      socket.close();
      resolve(bytes[0] ?? -1);
    });
    socket.send("?", port, "127.0.0.1");
  });
}

function askTcp(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("data", (bytes) => resolve(bytes[0] ?? -1));
    socket.on("end", () => socket.destroy());
  });
}

const native = batchedUdp();
describe.skipIf(native !== true)(`--queues on the kernel's sockets${native === true ? "" : ` (${native})`}`, () => {
  test("datagrams and connections are spread over the instances, and all of them end", async () => {
    const running = run("--queues", "3");
    for (const index of [0, 1, 2]) await running.says(`instance ${index} of 3`);
    const ports = [...running.stdout.matchAll(/has (\d+)/g)].map((match) => match[1]);
    expect(new Set(ports).size).toBe(3);
    for (const ask of [askUdp, askTcp]) {
      const answers = new Set<number>();
      // The chance that one of three is never hit in a hundred is 10⁻¹⁷.
      for (let round = 0; round < 100; round++) answers.add(await ask());
      expect([...answers].sort()).toEqual([0, 1, 2]);
    }
    running.child.kill("SIGTERM");
    expect(await running.ended()).toBe(0);
    for (const index of [0, 1, 2]) expect(running.stdout).toContain(`instance ${index} is over`);
    expect(running.stderr).toBe("");
  });

  test("what ends one instance ends the image, with its error and status 1", async () => {
    const running = run("--queues=2", "--act", "die");
    expect(await running.ended()).toBe(1);
    expect(running.stderr).toMatch(/^spread: instance 1 of 2: Error: deliberate\n +at /);
    expect(running.stdout).toContain("instance 0 is over");
    const silent = run("--queues=2", "--act", "exit");
    expect(await silent.ended()).toBe(1);
    expect(silent.stderr).toBe("spread: instance 1 of 2 ended with status 7\n");
  });

  test("an image whose instances end by themselves is over, and a bad count is refused", async () => {
    expect(await run("--queues=4", "--act", "end").ended()).toBe(0);
    const refused = run("--queues=65");
    expect(await refused.ended()).toBe(1);
    expect(refused.stderr).toBe('spread: --queues: "65" is not an integer from 1 to 64\n');
  });
});
