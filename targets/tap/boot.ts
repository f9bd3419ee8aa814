import type { Netif } from "@tesserae/device/netif";
import type { Random } from "@tesserae/device/random";
import type { Stack } from "@tesserae/device/stack";
import type { ImagePlan } from "@tesserae/image/plan";
import { faults } from "@tesserae/netif/faults";
import { pcap } from "@tesserae/netif/pcap";
import { trace } from "@tesserae/netif/trace";
import { CaptureFile } from "@tesserae/node/capture-file";
import { createConsole } from "@tesserae/node/console";
import { createRandom } from "@tesserae/node/random";
import { instance } from "@tesserae/node/instance";
import { runProcess, StartError, type OpenTarget } from "@tesserae/node/run-process";
import { createTimers } from "@tesserae/node/timers";
import { readFlags, type TapDevice, tapFlags, type TapFlags } from "./flags.ts";
import { checkComplete, loadLibc, UnsupportedError } from "./libc.ts";
import { createTap, type TapOptions } from "./netif.ts";
import { joinQueues, openShared, type QueuedDevice, type SharedQueues } from "./queues.ts";
import type { QueueNetif } from "./queue-netif.ts";
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
    open: (flags, keys) => {
      const read = readFlags(flags, plan.keys, keys);
      if (instance().count > 1) checkQueues(plan, read, keys);
      return open(plan, read);
    },
  });
}

async function open(plan: ImagePlan, flags: TapFlags): Promise<OpenTarget> {
  const { index, count } = instance();
  const capture = flags.pcap === undefined ? undefined : openCapture(captureOf(flags.pcap, index));
  const timers = createTimers();
  const random = createRandom();
  const wanted = plan.devices.filter((device) => device.base === true && device.kind === "netif").length;
  if (wanted > flags.devices.length) {
    throw new StartError(
      `this image has ${wanted} interfaces: give --tap or --xdp as many devices, with commas between them`,
    );
  }
  const netifs: Netif[] = [];
  let queues: QueuesOpen | undefined;
  const closeAll = async (): Promise<void> => {
    for (const netif of netifs) await netif.close();
    queues?.close();
  };
  for (const tap of flags.devices) {
    // From the wire up: a captured or printed frame is what the stack sent or got, faults included.
    let netif: Netif;
    try {
      if (count > 1) {
        queues = await openQueue(tap, flags, random);
        ({ netif } = queues);
      } else netif = await openDevice(tap, flags);
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
    ...(queues === undefined ? {} : { shared: queues.shared, counters: countersOf(queues.netif) }),
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

/** What several instances cannot have is said before anything is opened. @throws StartError */
function checkQueues(plan: ImagePlan, flags: TapFlags, keys: Readonly<Record<string, string>>): void {
  if (flags.devices.length > 1) throw new StartError("--queues: the queues are those of one device");
  if (flags.devices[0]?.fd !== undefined) throw new StartError("--queues: --tap-fd is one queue of a device");
  const ipv4 = flags.ipv4 ?? keys["ipv4"] ?? plan.keys.find(({ name }) => name === "ipv4")?.default;
  if (ipv4?.startsWith("dhcp") === true) {
    throw new StartError("--queues: the instances have one address, which is to be given: --ipv4 ADDRESS/LENGTH");
  }
}

/** The file that an instance writes what it sees to: the first one's is the one named. */
function captureOf(path: string, index: number): string {
  if (index === 0) return path;
  const dot = path.lastIndexOf(".");
  return dot <= path.lastIndexOf("/") + 1 ? `${path}.${index}` : `${path.slice(0, dot)}.${index}${path.slice(dot)}`;
}

interface QueuesOpen {
  readonly netif: QueueNetif;
  readonly shared: SharedQueues;
  readonly close: () => void;
}

/** This instance's queue; the first one opens the device for all. */
async function openQueue(device: TapDevice, flags: TapFlags, random: Random): Promise<QueuesOpen> {
  return inWords(async () => {
    const { calls, notice } = await loadLibc();
    checkComplete(calls, notice);
    const { name } = device;
    const wanted: QueuedDevice =
      device.kind === "xdp" ? { kind: "xdp", name } : { kind: "tap", options: tapOptions(device, flags) };
    const own = instance();
    if (own.index > 0) {
      // as: the first instance, which runs the same code, made it
      const shared = own.shared as SharedQueues;
      const { netif } = await joinQueues(calls, wanted, shared, own);
      return { netif, shared, close: () => undefined };
    }
    const secret = new Uint8Array(16);
    random.fill(secret);
    const { shared, close } = openShared(calls, wanted, own.count, secret);
    const { inner, netif } = await joinQueues(calls, wanted, shared, own);
    tell(inner, notice, `${own.count} queues, `);
    return { netif, shared, close };
  });
}

function countersOf(netif: QueueNetif): () => Readonly<Record<string, number>> {
  return () => {
    const { receivedFrames, sentFrames, droppedFrames } = netif.statistics;
    return {
      "frames received": receivedFrames,
      "frames handed to other queues": netif.given,
      "frames sent": sentFrames,
      "frames dropped": droppedFrames + netif.lost + netif.misfits,
    };
  };
}

function tapOptions({ name, fd, hostAddress }: TapDevice, { devices, mtu, pcap, faults, trace }: TapFlags): TapOptions {
  return {
    name,
    ...(fd === undefined ? {} : { fd }),
    // A frame that is shown, or damaged, is to be as on a wire; so is one that goes on to another device.
    offload: pcap === undefined && faults === undefined && !trace && devices.length === 1,
    ...(mtu === undefined ? {} : { mtu }),
    ...(hostAddress === undefined ? {} : { hostAddress }),
  };
}

async function openDevice(device: TapDevice, flags: TapFlags): Promise<Netif> {
  return inWords(async () => {
    const { notice } = await loadLibc();
    const { kind, name } = device;
    return tell(kind === "xdp" ? await createXdp({ name }) : await createTap(tapOptions(device, flags)), notice);
  });
}

/** Opens something; what is said in words already is said without a stack. */
async function inWords<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    // These say all in words: what is wrong and what would help.
    if (error instanceof TapError || error instanceof UnsupportedError || error instanceof RangeError) {
      throw new StartError(error.message, { cause: error });
    }
    throw error;
  }
}

/** One line that says how frames come and go, and why not faster. */
function tell(netif: Netif, notice: string | undefined, queues = ""): Netif {
  const how = netif instanceof RingNetif ? netif.how : "frames one by one";
  process.stderr.write(`${netif.name}: ${queues}${how}${notice === undefined ? "" : `; ${notice}`}\n`);
  return netif;
}
