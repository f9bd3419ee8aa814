import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { createStack } from "../stack/stack.ts";

/** Messages with good sums, each with its length and a wait in front, to a host in two groups. */
export const fuzz: FuzzTarget = {
  name: "igmp",
  seeds: [
    Uint8Array.of(12, 1, 0x11, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    Uint8Array.of(8, 9, 0x11, 100, 0, 0, 0, 0, 0, 0, 8, 1, 0x16, 0, 0, 0, 239, 1, 2, 3),
    Uint8Array.of(8, 200, 0x11, 0, 0, 0, 239, 1, 2, 3),
  ],
  async run(input) {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
    const link = createLink({ timers, queue: 64 });
    const peer = new FramePeer(link.b);
    const stack = await createStack({
      netif: link.a,
      timers,
      random: new SeededRandom(1),
      ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
      ipv6: { kind: "off" },
    });
    const advance = (ms: number): void => {
      const end = clock.now() + ms;
      for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
        clock.advanceTo(Math.max(next, clock.now()));
        timers.run();
      }
      clock.advanceTo(end);
    };
    for (const group of ["224.0.0.251", "239.1.2.3"]) stack.ip.join(IpAddress.parse(group));
    let messages = 0;
    for (let at = 0; at + 2 <= input.length && messages < 100; messages++) {
      const igmp = input.slice(at + 2, at + 2 + Math.min(input[at] ?? 0, 200));
      const wait = input[at + 1] ?? 0;
      at += 2 + (input[at] ?? 0);
      if (igmp.length >= 4) {
        igmp.set([0, 0], 2);
        const sum = checksum(igmp, 0, igmp.length);
        igmp.set([sum >>> 8, sum], 2);
      }
      const frame = new Uint8Array(34 + igmp.length);
      frame.set([1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 20 + igmp.length, 0, 0, 0, 0, 1, 2], 0);
      frame.set([10, 0, 0, 9, 224, 0, 0, 1], 26);
      const header = checksum(frame, 14, 20);
      frame.set([header >>> 8, header], 24);
      frame.set(igmp, 34);
      peer.send(frame);
      advance(wait * wait);
    }
    advance(100_000);
    const sent = peer.take().filter((frame) => frame[23] === 2).length;
    // Two of each group's own, and one for each group and message at most.
    if (sent > 4 + 2 * messages) throw new Error(`${sent} messages for ${messages}`);
    await stack.close();
    if (errors.length > 0) throw errors[0];
    if (timers.pending > 0) throw new Error("a timer is left");
  },
};
