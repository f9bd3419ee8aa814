import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { ipSuite } from "@tesserae/conformance/ip";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Skipped } from "@tesserae/conformance/suite";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, test } from "vitest";
import { createArp } from "../arp/arp.ts";
import { createEthernet } from "../ethernet/ethernet.ts";
import { createIcmp } from "../icmp/icmp.ts";
import { Link } from "../ip/link.ts";
import { createIpv4 } from "./ipv4.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each([
  ["an MTU of 1500", 1500],
  ["an odd MTU of 1499", 1499],
  ["the largest MTU", 65_535],
])("the contract of Ip, with %s", (_, mtu) => {
  for (const each of ipSuite) {
    test(each.name, async (context) => {
      const clock = new VirtualClock();
      const timers = new Scheduler(clock);
      const lan = new Lan({ timers, mtu, delay: 1, queue: 128 });
      const attach = (index: number) => lan.attach({ name: `host${index}`, mac: new MacAddress(0x0200, index) });
      const host = (index: number) => {
        const ethernet = createEthernet({ netif: attach(index) });
        const random = new SeededRandom(index);
        const arp = createArp({ ethernet, timers, random });
        const ip = createIpv4({ interfaces: [{ link: new Link(1, "eth0", ethernet), arp }], timers, random });
        createIcmp({ ip, timers, random });
        const address = Prefix.parse(`10.0.0.${index}/24`);
        ip.interface(1).configure({ address });
        void arp.claim(address.address, { probe: false });
        return { ip, mac: ethernet.mac };
      };
      const a = host(1);
      const station = new FramePeer(attach(3));
      const pair = {
        a: a.ip,
        b: host(2).ip,
        timers,
        silent: IpAddress.parse("10.0.0.99"),
        unroutable: IpAddress.parse("203.0.113.77"),
        inject: (packet: Uint8Array) => {
          const frame = new Uint8Array(14 + packet.length);
          a.mac.write(frame, 0);
          station.netif.mac.write(frame, 6);
          frame.set([8, 0], 12);
          frame.set(packet, 14);
          station.send(frame);
        },
        unconfigure: () => a.ip.interface(1).configure(undefined),
      };
      await runVirtual({ clock, schedulers: [timers], turn }, each.run(pair)).catch((error: unknown) => {
        if (error instanceof Skipped) return context.skip(error.message);
        throw error;
      });
    });
  }
});
