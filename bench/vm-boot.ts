// From QEMU's start to the first answered HTTP request, the least memory that serves, and the size of what is booted:
// our image against Debian's cloud kernel, tuned, with the same Node.js and the same application on kernel sockets.
// Needs root; skips in words without.
import { unavailable } from "../test/namespace/namespace.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";
import { makeContenders, programs } from "./vm/contenders.ts";
import { Guest, type GuestPlan, type MachineType } from "./vm/guest.ts";

/** Bounds of one boot under emulation, in milliseconds. */
const bootBound = 60_000;
/** A guest that swaps its own code in and out may take a few times the usual; one that hangs is not worth a minute. */
const scarceBound = 25_000;
const usualMemory = 256;

/** @returns milliseconds from the start to the first answer, and MiB that the emulator touched until then */
async function boot(
  plan: GuestPlan,
  machine: MachineType,
  memory: number,
  bound = bootBound,
): Promise<{ took: number; resident: number }> {
  const guest = Guest.start(plan, machine, memory);
  try {
    const took = await guest.answered(bound);
    return { took, resident: guest.resident };
  } finally {
    await guest.stop();
  }
}

/** The least memory, in MiB and in steps of 2, with which the guest answers. */
async function leastMemory(plan: GuestPlan, machine: MachineType): Promise<number> {
  let low = 16;
  let high = usualMemory;
  while (high - low > 2) {
    const middle = Math.floor((low + high) / 4) * 2;
    const answered = await boot(plan, machine, middle, scarceBound).then(
      () => true,
      () => false,
    );
    if (answered) high = middle;
    else low = middle;
  }
  return high;
}

async function races(): Promise<void> {
  const reason = unavailable(...programs);
  if (reason !== undefined) {
    console.log(`vm-boot skipped: ${reason}`);
    return;
  }
  const { ours, debian } = makeContenders();
  const both = [debian, ours];
  const race = (name: string, unit: string, measure: (plan: typeof ours) => Promise<number>): Race => ({
    name,
    unit,
    rival: debian.name,
    contenders: both.map((plan) => ({ name: plan.name, measure: () => measure(plan) })),
  });
  const found = new Map<string, Promise<number>>();
  await main(
    [
      ...(["q35", "microvm"] as const).map((machine) =>
        race(`boot on ${machine}`, "boots/s", async (plan) => 1000 / (await boot(plan, machine, usualMemory)).took),
      ),
      race("memory of the emulator at -m 256", "guests/GiB", async (plan) => {
        return 1024 / (await boot(plan, "q35", usualMemory)).resident;
      }),
      // Found once a machine: the same in every round.
      ...(["q35", "microvm"] as const).map((machine) =>
        race(`least memory on ${machine}`, "guests/GiB", async (plan) => {
          const name = `${plan.name} on ${machine}`;
          const least = found.get(name) ?? leastMemory(plan, machine);
          found.set(name, least);
          return 1024 / (await least);
        }),
      ),
      race("size of kernel and files", "images/GiB", (plan) => Promise.resolve(2 ** 30 / plan.size)),
    ],
    5,
  );
}

await races();
