import type { Stack } from "@tesserae/device/stack";
import type { DevicePlan, ImagePlan } from "@tesserae/image/plan";
import { runImage } from "@tesserae/image/run";
import type { Host } from "./host.ts";
import type { Nic } from "./nic.ts";

/** One image running on one host. */
export class ImageRun {
  readonly host: Host;
  /** Which of the host's lives it runs in. */
  readonly life: number;
  /** Settles when its main has ended and its devices are closed. Rejects with what main threw. */
  readonly finished: Promise<void>;
  readonly #abort = new AbortController();
  #ended = false;

  /**
   * Starts it. A run-time key that says how an interface gets its address, and that was not given, follows the host.
   *
   * @param report takes errors that end nothing
   */
  constructor(host: Host, plan: ImagePlan, keys: Readonly<Record<string, string>>, report: (error: unknown) => void) {
    this.host = host;
    this.life = host.life;
    const { timers, random, console, netif, resolver } = host;
    this.finished = runImage(watched(plan, host), {
      base: {
        ...{ timers, clock: timers, random, console, netif, resolver },
        // Made when a plan has them.
        get block() {
          return host.disk;
        },
        get kv() {
          return host.kv;
        },
      },
      several: { netif: interfaces(plan, host) },
      keys: { ...addressKeys(plan, host), ...keys },
      signal: this.#abort.signal,
      report,
    })
      .catch((error: unknown) => {
        // A main that stops by passing on the reason of its signal has stopped as it was asked to.
        const { signal } = this.#abort;
        if (!signal.aborted || error !== signal.reason) throw error;
      })
      .finally(() => {
        this.#ended = true;
      });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Asks it to stop: aborts main's signal. */
  stop(): void {
    this.#abort.abort();
  }
}

/** An interface of the host for each that the image wants, in order. Those that nobody has plugged in hear nothing. */
function interfaces(plan: ImagePlan, host: Host): readonly Nic[] {
  const wanted = plan.devices.filter((device) => device.base === true && device.kind === "netif");
  return wanted.map((_, index) => host.netifs[index] ?? host.addNetif());
}

/** The plan, with the host told of the stack that it makes. */
function watched(plan: ImagePlan, host: Host): ImagePlan {
  const { life } = host;
  const devices = plan.devices.map((device): DevicePlan => {
    if (device.base === true || device.kind !== "stack") return device;
    const create = async (args: Readonly<Record<string, unknown>>): Promise<unknown> => {
      const made: unknown = await device.create(args);
      // as: the plan says that it is of the kind "stack"
      host.adopt(made as Stack, life);
      return made;
    };
    return { ...device, create };
  });
  return { ...plan, devices, main: (main) => plan.main(main) };
}

function addressKeys(plan: ImagePlan, host: Host): Record<string, string> {
  const key = plan.keys.find((each) => each.type.kind === "interface4");
  const key6 = plan.keys.find((each) => each.type.kind === "interface6");
  if (key === undefined) return {};
  const { gateway, ipv4 } = host.options;
  const via = gateway === undefined ? "" : ` via ${gateway}`;
  return {
    [key.name]: ipv4 === "dhcp" ? "dhcp" : `${host.ipv4?.toString() ?? "dhcp"}${via}`,
    ...(key6 === undefined ? {} : { [key6.name]: host.interfaces[0]?.ipv6 ?? "off" }),
  };
}
