import type { Stack } from "@tesserae/device/stack";
import { type DnsMessage, emitMessage } from "@tesserae/dns/message";
import { createStubResolver } from "@tesserae/dns/stub-resolver";
import { classIn, recordType } from "@tesserae/dns/wire";
import type { World } from "@tesserae/sim/world";

const port = 5300;
const hosts = 10;
const clientsOnHost = 100;

/** A thousand clients ask about the hundred hosts; some ask what needs TCP, or is not there. */
export function scenario(world: World): void {
  // All clients are in one network: a limit would hold most of them back.
  const server = world.image("nameserver", { keys: { rate: "0" } });
  for (let host = 1; host <= hosts; host++) {
    world.host(`client${host}`).run(async ({ stack, timers, random, console }) => {
      await server.ready;
      const ask = async (client: number): Promise<void> => {
        const servers = [{ address: server.address, port }];
        const resolver = createStubResolver({ udp: stack.udp, tcp: stack.tcp, timers, random, servers });
        const number = (client % 100) + 1;
        const answer = await resolver.query(`host${number}.example.org`, recordType.A);
        if (answer.kind !== "answer") throw new Error(`host${number}: ${answer.kind}`);
        const texts = answer.records.map(({ data }) => (data.type === "A" ? data.address.toString() : data.type));
        if (texts.join() !== `10.0.0.${number}`) throw new Error(`host${number} is ${texts.join()}`);
        const alias = await resolver.query(`${client}.pages.example.org`, recordType.AAAA);
        if (alias.kind !== "answer" || alias.name !== "www.example.org") throw new Error(`alias: ${alias.kind}`);
        const nothing = await resolver.query(`${client}.nobody.example.org`, recordType.A);
        if (nothing.kind !== "no-name") throw new Error(`nobody: ${nothing.kind}`);
      };
      await Promise.all(Array.from({ length: clientsOnHost }, (_, client) => ask(client)));
      await pipelined(stack, server.address);
      console.writeLine(`${clientsOnHost} clients know what they wanted to know`);
    });
  }
}

const plain: DnsMessage = {
  ...{ id: 0, response: false, opcode: 0, authoritative: false, truncated: false, recursionDesired: false },
  ...{ recursionAvailable: false, authenticData: false, checkingDisabled: false, rcode: 0 },
  questions: [{ name: "www.example.org", type: recordType.A, class: classIn }],
  ...{ answers: [], authorities: [], additionals: [] },
};

/** Three questions at once on one connection (RFC 7766 §6.2.1.1). */
async function pipelined(stack: Stack, address: Parameters<Stack["tcp"]["connect"]>[0]["address"]): Promise<void> {
  const flow = await stack.tcp.connect({ address, port });
  for (const id of [1, 2, 3]) {
    const query = new Uint8Array(512);
    const length = emitMessage({ ...plain, id }, query.subarray(2));
    query[1] = length;
    await flow.write(query.subarray(0, length + 2));
  }
  const heard: number[] = [];
  const buffer = new Uint8Array(4096);
  let filled = 0;
  while (heard.length < 3) {
    const length = await flow.read(buffer.subarray(filled));
    if (length === 0) throw new Error(`the connection ended after ${heard.length} answers`);
    filled += length;
    let at = 0;
    for (; at + 2 <= filled;) {
      const size = ((buffer[at] ?? 0) << 8) | (buffer[at + 1] ?? 0);
      if (at + 2 + size > filled) break;
      heard.push(buffer[at + 3] ?? 0);
      at += 2 + size;
    }
    buffer.copyWithin(0, at, filled);
    filled -= at;
  }
  await flow.close();
  if (heard.join() !== "1,2,3") throw new Error(`answers ${heard.join()}`);
}
