import { Page } from "@tesserae/device/page";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { CorruptedFrames } from "./corrupted-frames.ts";
import { Events } from "./event.ts";
import { FrameStore } from "./frame-store.ts";
import { Channel, type LinkEngine } from "./link.ts";
import { completeLinkSettings } from "./link-settings.ts";
import { SeededRandom } from "./random.ts";
import { Switch } from "./switch.ts";

const ports = 3;
const clock = { now: () => 0, wall: () => 0 };

/** Frames from three hosts, nine bytes each: the port, a byte of the destination, and some of the source. */
export const fuzz: FuzzTarget = {
  name: "sim-switch",
  seeds: [
    Uint8Array.of(0, 2, 1, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 2),
    Uint8Array.of(2, 255, 0, 1, 2, 3, 4, 5, 6, 0, 2, 0, 0, 0, 0, 0, 0, 0),
  ],
  run(input) {
    const store = new FrameStore();
    const noTimer = { armed: false, deadline: Infinity, set: () => undefined, cancel: () => undefined };
    const timers = { ...clock, timer: () => noTimer };
    const engine: LinkEngine = {
      timers,
      store,
      events: new Events(clock.now),
      flights: [],
      corrupted: new CorruptedFrames(),
    };
    const lan = new Switch("lan", clock, store);
    const got = new Array<number>(ports).fill(0);
    const all = got.map((_, index) => {
      const port = lan.port();
      const sink = { deliver: () => void (got[index] = (got[index] ?? 0) + 1) };
      port.channel = new Channel(engine, `p${index}`, completeLinkSettings({ delay: 0 }), new SeededRandom("f"), sink);
      return port;
    });
    const page = new Page(new Uint8Array(64), 0);
    let sent = 0;
    for (let at = 0; at + 9 <= input.length; at += 9) {
      const from = all[(input[at] ?? 0) % ports];
      if (from === undefined) continue;
      page.bytes.fill(0);
      page.bytes[0] = input[at + 1] ?? 0;
      page.bytes[5] = input[at + 2] ?? 0;
      page.bytes.set(input.subarray(at + 3, at + 9), 6);
      lan.forward(from, page, 0, 14 + (at % 40), sent++);
      if (lan.addresses > ports * 64) throw new Error(`${lan.addresses} addresses on ${ports} ports`);
    }
    const delivered = got.reduce((sum, count) => sum + count, 0);
    if (lan.forwarded + lan.flooded !== sent) throw new Error("a frame is neither forwarded nor flooded");
    if (delivered < lan.flooded * (ports - 1) || delivered > lan.flooded * (ports - 1) + lan.forwarded) {
      throw new Error(`${delivered} deliveries of ${lan.forwarded} frames forwarded and ${lan.flooded} flooded`);
    }
  },
};
