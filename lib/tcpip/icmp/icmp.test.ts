import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { protocolIcmp } from "@tesserae/device/ip";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { expect, test } from "vitest";
import { ipv4 } from "../ipv4/wire.ts";
import { createStack } from "../stack/stack.ts";
import { icmp, icmpSourceQuench } from "./wire.ts";

const ourMac = MacAddress.parse("02:00:00:00:00:01");
const peerMac = MacAddress.parse("02:00:00:00:00:02");

/** An ICMP message from 10.0.0.2 to 10.0.0.1 in a frame. */
function frame(type: number, code: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(42 + body.length);
  ourMac.write(bytes, 0);
  peerMac.write(bytes, 6);
  bytes.set([0x08, 0x00], 12);
  ipv4.emit(
    {
      version: 4,
      headerLength: 5,
      dscp: 0,
      ecn: 0,
      totalLength: 28 + body.length,
      identification: 1,
      reserved: false,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      timeToLive: 64,
      protocol: protocolIcmp,
      checksum: 0,
      source: IpAddress.parse("10.0.0.2"),
      destination: IpAddress.parse("10.0.0.1"),
    },
    bytes,
    14,
  );
  ipv4.field.checksum.set(bytes, 14, checksum(bytes, 14, 20));
  icmp.emit({ type, code, checksum: 0, identifier: 0, sequence: 0 }, bytes, 34);
  bytes.set(body, 42);
  icmp.field.checksum.set(bytes, 34, checksum(bytes, 34, 8 + body.length));
  return bytes;
}

async function setup() {
  const timers = new Scheduler(new VirtualClock());
  const link = createLink({ timers });
  const peer = new FramePeer(link.b);
  const stack = await createStack({
    netif: link.a,
    timers,
    random: new SeededRandom(1),
    ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
  });
  timers.run();
  peer.take();
  /** The ICMP messages that a frame brings about. */
  const ask = (bytes: Uint8Array): readonly Uint8Array[] => {
    peer.send(bytes);
    for (let round = 0; round < 4; round++) timers.run();
    return peer.take().filter((each) => each[12] === 0x08 && each[13] === 0x00 && each[23] === protocolIcmp);
  };
  return { stack, ask };
}

test("RFC 6633: source quench is ignored, whatever connection it names", async () => {
  const { stack, ask } = await setup();
  const connecting = stack.tcp.connect({ address: IpAddress.parse("10.0.0.2"), port: 80 });
  connecting.catch(() => undefined);
  const quoted = new Uint8Array(28);
  quoted.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
  const before = stack.tcp.connections();
  expect(before).toHaveLength(1);
  expect(ask(frame(icmpSourceQuench, 0, quoted))).toEqual([]);
  expect(stack.tcp.connections()).toEqual(before);
  expect(stack.icmp.statistics).toMatchObject({ ignored: 1, errorsReceived: 0, errorsSent: 0 });
  await stack.close();
});

test("RFC 6918: deprecated messages and unknown ones are neither answered nor believed", async () => {
  const { stack, ask } = await setup();
  // Alternate host address, information, address mask, traceroute, conversion, mobility, domain names, Photuris; unknown.
  const deprecated = [6, 15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 200];
  for (const type of deprecated) expect(ask(frame(type, 0, new Uint8Array(32)))).toEqual([]);
  expect(stack.icmp.statistics).toMatchObject({ ignored: deprecated.length, errorsSent: 0, echoReplies: 0 });
  await stack.close();
});
