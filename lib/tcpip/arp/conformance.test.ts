import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { type ArpHost, arpSuite } from "@tesserae/conformance/arp";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, test } from "vitest";
import { createEthernet } from "../ethernet/ethernet.ts";
import { createArp } from "./arp.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each([1, 2, 3])("the contract of Arp, with seed %i", (seed) => {
  for (const each of arpSuite) {
    test(each.name, async () => {
      const clock = new VirtualClock();
      const timers = new Scheduler(clock);
      const lan = new Lan({ timers, delay: 1 });
      const host = (index: number): ArpHost => {
        const ethernet = createEthernet({
          netif: lan.attach({ name: `host${index}`, mac: new MacAddress(0x0200, index) }),
        });
        const arp = createArp({ ethernet, timers, random: new SeededRandom(seed * 10 + index) });
        arp.configureLink(Prefix.parse("10.0.0.0/16"));
        return { arp, mac: ethernet.mac };
      };
      const pair = {
        a: host(1),
        b: host(2),
        timers,
        free: (index: number) => IpAddress.v4(0x0a000100 + index),
        station: new FramePeer(lan.attach({ name: "station", mac: new MacAddress(0x0200, 3) })),
      };
      await runVirtual({ clock, schedulers: [timers], turn }, each.run(pair));
    });
  }
});
