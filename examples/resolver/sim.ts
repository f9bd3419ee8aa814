import { IpAddress } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { parseWireMessage, type WireQuestion } from "@tesserae/dns/wire-message";
import { WireMessageWriter } from "@tesserae/dns/wire-message-writer";
import type { WireRecord } from "@tesserae/dns/wire-record";
import type { World } from "@tesserae/sim/world";
import { createStubResolver } from "@tesserae/dns/stub-resolver";
import { messageFlag } from "@tesserae/dns/wire";

const types = { A: 1, NS: 2 } as const;

/** Addresses in the world: the root's server, that of `example`, that of `shop.example`, and ours. */
const addresses = { root: "10.0.0.11", example: "10.0.0.12", shop: "10.0.0.13", resolver: "10.0.0.53" };

function record(owner: string, type: keyof typeof types, data: string): WireRecord {
  const bytes = type === "NS" ? nameFromText(data) : Uint8Array.from(data.split(".").map(Number));
  return { owner: nameFromText(owner), type: types[type], class: 1, ttl: 60, data: bytes };
}

/** What a server says to a question: records of the answer, or who to ask instead. */
interface Says {
  readonly answers?: readonly WireRecord[];
  readonly authorities?: readonly WireRecord[];
  readonly additionals?: readonly WireRecord[];
}

/** A name server that says the same whatever the type. */
async function serve({ udp }: Stack, says: (question: WireQuestion) => Says): Promise<void> {
  const socket = await udp.bind({ port: 53 }, ({ bytes, offset, length, source, sourcePort }) => {
    const parsed = parseWireMessage(bytes, offset, length);
    const [question] = parsed.ok ? parsed.value.questions : [];
    if (!parsed.ok || question === undefined) return;
    const { answers = [], authorities = [], additionals = [] } = says(question);
    const data = new Uint8Array(2000);
    const writer = new WireMessageWriter(data, 1232);
    writer.question(question);
    writer.records("answers", answers);
    writer.records("authorities", authorities);
    writer.records("additionals", additionals);
    const authority = authorities.length > 0 ? 0 : messageFlag.authoritative;
    const size = writer.finish(parsed.value.id, messageFlag.response | authority, 0);
    socket.send(data, 0, size, source, sourcePort);
  });
}

/** Referral to the one server of a zone. */
function referral(zone: string, address: string): Says {
  return { authorities: [record(zone, "NS", `ns.${zone}`)], additionals: [record(`ns.${zone}`, "A", address)] };
}

/**
 * A small internet that loses a tenth of all frames: a root, a zone below it, a zone below that, and a resolver that
 * finds its way through them for a client.
 */
export function scenario(world: World): void {
  const link = { loss: 0.1, delay: 5 };
  const keys = { roots: `ns=${addresses.root}`, anchors: "off" };
  const resolver = world.image("resolver", { ipv4: `${addresses.resolver}/24`, keys, link });
  const root = world.host("root", { ipv4: `${addresses.root}/24`, link });
  const example = world.host("example", { ipv4: `${addresses.example}/24`, link });
  const shop = world.host("shop", { ipv4: `${addresses.shop}/24`, link });
  const client = world.host("client");
  root.run(({ stack }) => serve(stack, () => referral("example", addresses.example)));
  example.run(({ stack }) => serve(stack, () => referral("shop.example", addresses.shop)));
  shop.run(({ stack }) => serve(stack, () => ({ answers: [record("www.shop.example", "A", "192.0.2.80")] })));
  client.run(async ({ stack, timers, random, console }) => {
    await resolver.ready;
    const stub = createStubResolver({
      ...{ udp: stack.udp, tcp: stack.tcp, timers, random },
      servers: [IpAddress.parse(addresses.resolver)],
    });
    for (const round of ["first", "second"]) {
      const start = timers.now();
      const [address] = await stub.withServers(stub.servers).resolve("www.shop.example");
      console.writeLine(
        `${round}: www.shop.example is ${String(address)}, after ${Math.round(timers.now() - start)} ms`,
      );
      if (address?.toString() !== "192.0.2.80") throw new Error(`www.shop.example is ${String(address)}`);
    }
  });
}
