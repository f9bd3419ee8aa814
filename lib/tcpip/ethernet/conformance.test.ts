import { ethernetSuite } from "@tesserae/conformance/ethernet";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, test } from "vitest";
import { createEthernet } from "./ethernet.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each([
  ["1500", 1500, 0],
  ["9000, one millisecond away", 9000, 1],
])("the contract of Ethernet, over a link with an MTU of %s", (_, mtu, delay) => {
  for (const each of ethernetSuite) {
    test(each.name, async () => {
      const clock = new VirtualClock();
      const timers = new Scheduler(clock);
      const link = createLink({ timers, mtu, delay });
      const pair = { a: createEthernet({ netif: link.a }), b: createEthernet({ netif: link.b }), timers };
      await runVirtual({ clock, schedulers: [timers], turn }, each.run(pair));
    });
  }
});
