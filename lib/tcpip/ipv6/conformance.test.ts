import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { ipSuite } from "@tesserae/conformance/ip";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Skipped } from "@tesserae/conformance/suite";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, test } from "vitest";
import { createEthernet } from "../ethernet/ethernet.ts";
import { createIcmp6 } from "../icmpv6/icmpv6.ts";
import { Link } from "../ip/link.ts";
import { createIpv6 } from "./ipv6.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each([
  ["an MTU of 1500", 1500],
  ["an odd MTU of 1499", 1499],
  ["the smallest MTU", 1280],
])("the contract of Ip, over IPv6, with %s", (_, mtu) => {
  for (const each of ipSuite) {
    test(each.name, async (context) => {
      const clock = new VirtualClock();
      const timers = new Scheduler(clock);
      const lan = new Lan({ timers, mtu, delay: 1, queue: 128 });
      const host = async (index: number) => {
        const netif = lan.attach({ name: `host${index}`, mac: new MacAddress(0x0200, index) });
        const random = new SeededRandom(index);
        const link = new Link(1, netif.name, createEthernet({ netif }));
        const ip = createIpv6({ interfaces: [{ link }], timers, random });
        createIcmp6({ ip, timers, random });
        await ip.interface(1).add(Prefix.parse(`fd00::${index}/64`));
        return ip;
      };
      const a = await host(1);
      const pair = {
        a,
        b: await host(2),
        timers,
        silent: IpAddress.parse("fd00::99"),
        unroutable: IpAddress.parse("2001:db8::77"),
        unconfigure: () => a.interface(1).clear(),
      };
      await runVirtual({ clock, schedulers: [timers], turn }, each.run(pair)).catch((error: unknown) => {
        if (error instanceof Skipped) return context.skip(error.message);
        throw error;
      });
    });
  }
});
