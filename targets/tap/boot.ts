import type { Netif } from "@tesserae/device/netif";
import type { Stack } from "@tesserae/device/stack";
import type { ImagePlan } from "@tesserae/image/plan";
import { faults } from "@tesserae/netif/faults";
import { pcap } from "@tesserae/netif/pcap";
import { trace } from "@tesserae/netif/trace";
import { CaptureFile } from "@tesserae/node/capture-file";
import { createConsole } from "@tesserae/node/console";
import { createRandom } from "@tesserae/node/random";
import { runProcess, StartError, type OpenTarget } from "@tesserae/node/run-process";
import { createTimers } from "@tesserae/node/timers";
import { readFlags, type TapDevice, tapFlags, type TapFlags } from "./flags.ts";
import { loadLibc, UnsupportedError } from "./libc.ts";
import { createTap } from "./netif.ts";
import { RingNetif } from "./ring-netif.ts";
import { TapError } from "./tun.ts";
import { createXdp } from "./xdp/netif.ts";

/**
 * Runs an image on our own stack over a Linux tap device. See {@link tapFlags} for its flags, and `runProcess` for
 * signals and the exit status.
 */
export function boot(plan: ImagePlan): Promise<void> {
  return runProcess(plan, {
    flags: tapFlags,
    open: (flags, keys) => open(plan, readFlags(flags, plan.keys, keys)),
  });
}

async function open(plan: ImagePlan, flags: TapFlags): Promise<OpenTarget> {
  const capture = flags.pcap === undefined ? undefined : openCapture(flags.pcap);
  const timers = createTimers();
  const random = createRandom();
  const wanted = plan.devices.filter((device) => device.base === true && device.kind === "netif").length;
  if (wanted > flags.devices.length) {
    throw new StartError(
      `this image has ${wanted} interfaces: give --tap or --xdp as many devices, with commas between them`,
    );
  }
  const netifs: Netif[] = [];
  const closeAll = async (): Promise<void> => {
    for (const netif of netifs) await netif.close();
  };
  for (const tap of flags.devices) {
    // From the wire up: a captured or printed frame is what the stack sent or got, faults included.
    let netif: Netif;
    try {
      netif = await openDevice(tap, flags);
    } catch (error) {
      await closeAll();
      throw error;
    }
    if (flags.faults !== undefined) netif = faults(netif, { ...flags.faults, timers, random });
    if (capture !== undefined) {
      netif = pcap(netif, { sink: capture, interfaceId: capture.addInterface({ name: tap.name }), clock: timers });
    }
    if (flags.trace) {
      netif = trace(netif, { clock: timers, print: (line) => void process.stderr.write(`${line}\n`) });
    }
    netifs.push(netif);
  }
  let hasNodeApi = false;
  return {
    base: { timers, random, console: createConsole() },
    several: { netif: netifs },
    made: ({ kind }, made) => {
      if (kind !== "stack" || hasNodeApi || plan.installNodeApi === undefined) return;
      hasNodeApi = true;
      // as: the catalogue's implementations of the kind are of this type.
      plan.installNodeApi({ stack: made as Stack, timers, random });
    },
    ...(flags.ipv4 === undefined ? {} : { keys: { ipv4: flags.ipv4 } }),
    close: async () => {
      await closeAll();
      timers.close();
      capture?.close();
    },
  };
}

function openCapture(path: string): CaptureFile {
  try {
    return new CaptureFile(path);
  } catch (error) {
    throw new StartError(`--pcap: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function openDevice(
  { kind, name, hostAddress }: TapDevice,
  { devices, mtu, pcap, faults, trace }: TapFlags,
): Promise<Netif> {
  try {
    const { notice } = await loadLibc();
    if (kind === "xdp") return tell(await createXdp({ name }), notice);
    const netif = await createTap({
      name,
      // A frame that is shown, or damaged, is to be as on a wire; so is one that goes on to another device.
      offload: pcap === undefined && faults === undefined && !trace && devices.length === 1,
      ...(mtu === undefined ? {} : { mtu }),
      ...(hostAddress === undefined ? {} : { hostAddress }),
    });
    return tell(netif, notice);
  } catch (error) {
    // These say all in words: what is wrong and what would help.
    if (error instanceof TapError || error instanceof UnsupportedError || error instanceof RangeError) {
      throw new StartError(error.message, { cause: error });
    }
    throw error;
  }
}

/** One line that says how frames come and go, and why not faster. */
function tell(netif: Netif, notice: string | undefined): Netif {
  const how = netif instanceof RingNetif ? netif.how : "frames one by one";
  process.stderr.write(`${netif.name}: ${how}${notice === undefined ? "" : `; ${notice}`}\n`);
  return netif;
}
