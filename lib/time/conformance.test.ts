import { timersSuite } from "@tesserae/conformance/timers";
import { describe, expect, test } from "vitest";
import { Scheduler } from "./scheduler.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { runVirtual } from "./virtual-run.ts";

describe("conformance of Scheduler over VirtualClock", () => {
  for (const each of timersSuite) {
    test(each.name, async () => {
      const clock = new VirtualClock();
      const errors: unknown[] = [];
      const scheduler = new Scheduler(clock, { onError: (error) => errors.push(error) });
      const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
      await runVirtual({ clock, schedulers: [scheduler], turn }, each.run(scheduler));
      expect(errors.every((error) => String(error).includes("deliberately"))).toBe(true);
    });
  }
});
