import type { Datagram } from "@tesserae/device/udp";
import type { World } from "@tesserae/sim/world";

/** A client sends text over TCP and UDP and gets the same text back. */
export function scenario(world: World): void {
  const server = world.image("server");
  const client = world.host("client");
  const port = 7007;

  client.run(async ({ stack, console }) => {
    await server.ready;
    const flow = await stack.tcp.connect({ address: server.address, port });
    const words = "the quick brown fox";
    await flow.write(new TextEncoder().encode(words));
    await flow.end();
    let heard = "";
    const buffer = new Uint8Array(64);
    for (let length = await flow.read(buffer); length > 0; length = await flow.read(buffer)) {
      heard += new TextDecoder().decode(buffer.subarray(0, length));
    }
    await flow.close();
    if (heard !== words) throw new Error(`sent "${words}" over TCP, heard "${heard}"`);
    console.writeLine(`TCP: heard "${heard}"`);
  }, "tcp");

  client.run(async ({ stack, console, timers }) => {
    await server.ready;
    const words = new TextEncoder().encode("over the lazy dog");
    let hear: (text: string) => void = () => undefined;
    const heard = new Promise<string>((resolve) => {
      hear = resolve;
    });
    const socket = await stack.udp.bind({}, ({ bytes, offset, length }: Datagram) => {
      hear(new TextDecoder().decode(bytes.subarray(offset, offset + length)));
    });
    // Datagrams get lost: ask again until there is an answer.
    const again = timers.timer(() => {
      socket.send(words, 0, words.length, server.address, port);
      again.set(timers.now() + 200);
    });
    again.set(timers.now());
    console.writeLine(`UDP: heard "${await heard}"`);
    again.cancel();
    await socket.close();
  }, "udp");
}
