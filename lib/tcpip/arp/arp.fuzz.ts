import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { headroom } from "@tesserae/device/page";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { createEthernet } from "../ethernet/ethernet.ts";
import { createArp } from "./arp.ts";
import { arp as layout } from "./wire.ts";

const us = IpAddress.parse("10.0.0.1");
const known = IpAddress.parse("10.0.0.2");
const knownMac = MacAddress.parse("02:00:00:00:00:02");

function seed(operation: number, senderIp: IpAddress, targetIp: IpAddress): Uint8Array {
  const bytes = new Uint8Array(1 + layout.size);
  const fixed = { hardwareType: 1, protocolType: 0x0800, hardwareSize: 6, protocolSize: 4 };
  const targetMac = new MacAddress(0x0200, 1);
  layout.emit({ ...fixed, operation, senderMac: new MacAddress(0x0200, 7), senderIp, targetMac, targetIp }, bytes, 1);
  return bytes;
}

/** ARP messages, each behind a byte that says how long to wait before it, sent to a host with one good neighbour. */
export const fuzz: FuzzTarget = {
  name: "arp",
  seeds: [
    seed(1, IpAddress.parse("10.0.0.9"), us),
    seed(2, known, us),
    seed(1, us, us),
    seed(1, IpAddress.any4, us),
    Uint8Array.from([...seed(1, known, us), ...seed(2, known, us), ...seed(2, known, us)]),
  ],
  run(input) {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
    const link = createLink({ timers });
    const peer = new FramePeer(link.b);
    const ethernet = createEthernet({ netif: link.a });
    const arp = createArp({ ethernet, timers, random: new SeededRandom(1), capacity: 16 });
    arp.configureLink(Prefix.parse("10.0.0.1/24"));
    void arp.claim(us, { probe: false });
    const step = (ms: number): void => {
      clock.advanceTo(clock.now() + ms);
      for (let turn = 0; turn < 4; turn++) timers.run();
    };
    const page = ethernet.allocate();
    if (page !== undefined) arp.sendIpv4(known.w3, page, headroom, 40);
    const answer = seed(2, known, us).slice(1);
    knownMac.write(answer, layout.field.senderMac.offset);
    const frame = (message: Uint8Array): Uint8Array =>
      Uint8Array.from([...new Uint8Array(5).fill(0xff), 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x06, ...message]);
    peer.send(frame(answer));
    step(0);
    if (arp.lookup(known)?.equals(knownMac) !== true) throw new Error("the neighbour's answer was not taken");
    const record = 1 + layout.size;
    for (let at = 0; at < Math.min(input.length, record * 64); at += record) {
      // Up to four seconds in all: less than the neighbour's silence would need to be noticed.
      step((input[at] ?? 0) / 4);
      peer.send(frame(input.slice(at + 1, at + record)));
      step(0);
      // The neighbour answers what it alone is asked.
      for (const heard of peer.take()) if (heard[5] === 2 && heard[13] === 6) peer.send(frame(answer));
      step(0);
    }
    if (arp.lookup(known)?.equals(knownMac) !== true) throw new Error("the neighbour was replaced");
    if (arp.cache.size > 16) throw new Error(`${arp.cache.size} neighbours in a table of 16`);
    if (errors.length > 0) throw new Error("a callback threw", { cause: errors[0] });
    arp.close();
  },
};
