import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { protocolUdp } from "@tesserae/device/ip";
import { headroom } from "@tesserae/device/page";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { ipv4 } from "../ipv4/wire.ts";
import { createStack } from "../stack/stack.ts";

const stranger = IpAddress.parse("192.0.2.1");
const quoted = [0x45, 0, 0, 100, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, 0, 7, 0, 9, 0, 80, 0, 0];

/** One ICMP message with a good checksum, quoting what it likes, to a host that has just sent a long packet. */
export const fuzz: FuzzTarget = {
  name: "icmp",
  seeds: [
    Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1, 97, 98),
    Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 1),
    Uint8Array.of(3, 4, 0, 0, 0, 0, 4, 0, ...quoted),
    Uint8Array.of(11, 0, 0, 0, 0, 0, 0, 0, ...quoted),
    Uint8Array.of(5, 1, 0, 0, 10, 0, 0, 9, ...quoted),
  ],
  async run(input) {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
    const link = createLink({ timers, queue: 16 });
    const other = new FramePeer(link.b);
    const address = Prefix.parse("10.0.0.1/24");
    const gateway = IpAddress.parse("10.0.0.2");
    const stack = await createStack({
      netif: link.a,
      timers,
      random: new SeededRandom(1),
      ipv4: { kind: "static", address, gateway },
    });
    stack.ip.listenErrors(protocolUdp, ({ bytes, offset, length, source, mtu }) => {
      if (length < 8 || offset + length > bytes.length) throw new Error("a transport header that is not there");
      if (!source.equals(address.address)) throw new Error("an error about a packet that is not ours");
      if (mtu > 0xffff) throw new Error(`an MTU of ${mtu}`);
    });
    const ping = stack.icmp.ping(stranger, { timeout: 100 }).catch(() => undefined);
    const page = stack.ip.allocate();
    if (page !== undefined) stack.ip.send(stranger, protocolUdp, page, headroom, 1400, { dontFragment: true });
    const message = input.slice(0, 1400);
    if (message.length >= 4) {
      message[2] = message[3] = 0;
      const sum = checksum(message, 0, message.length);
      message[2] = sum >>> 8;
      message[3] = sum;
    }
    const frame = new Uint8Array(34 + message.length);
    frame.set([
      2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 10, 0, 0, 1,
    ]);
    ipv4.field.totalLength.set(frame, 14, 20 + message.length);
    ipv4.field.checksum.set(frame, 14, checksum(frame, 14, 20));
    frame.set(message, 34);
    other.send(frame);
    for (let turn = 0; turn < 4; turn++) timers.run();
    // The identification of our packet follows from a secret, which this input cannot have.
    const mtu = stack.ip.mtu(stranger);
    if (mtu !== 1500 && stack.statistics.ipv4.pathMtuLowered !== 1)
      throw new Error(`a path MTU of ${mtu} out of nowhere`);
    if (mtu < 576) throw new Error(`a path MTU of ${mtu}`);
    clock.advanceTo(100);
    for (let turn = 0; turn < 4; turn++) timers.run();
    await ping;
    if (errors.length > 0) throw new Error("a callback threw", { cause: errors[0] });
    await stack.close();
  },
};
