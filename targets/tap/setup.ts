import { userInfo } from "node:os";
import type { Prefix } from "@tesserae/device/address";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { InterfaceControl, TapError, type InterfaceState } from "./tun.ts";

/** The kernel counts a tap's Ethernet header into the 65,535 bytes that it allows. */
const largestMtu = 65_521;
const longestQueue = 100_000;

/** How the kernel's side of a tap device is to be. */
export interface TapSetup {
  /** Of the interface: `tap0`. */
  readonly name: string;
  /** The largest payload of a frame, in bytes, 576 to 65,521. Default: as the interface is, 1500 when it is new. */
  readonly mtu?: number;
  /** The kernel's own IPv4 address on the link, given to the interface when it has none. */
  readonly hostAddress?: Prefix;
  /**
   * How many frames may wait in the kernel while the image is busy, 1 to 100,000; what comes then is lost. Over long fat
   * paths a burst is longer than the kernel's 1000. Default: as the interface is.
   */
  readonly queue?: number;
  /** How many queues it is opened for. Default 1. */
  readonly queues?: number;
}

/** The commands that make what is asked for, to be run once by whoever may. */
export function setupCommands(
  { name, mtu, hostAddress, queue, queues = 1 }: TapSetup,
  user: string = userInfo().username,
): string[] {
  return [
    `sudo ip tuntap add dev ${name} mode tap user ${user}${queues > 1 ? " multi_queue" : ""}`,
    ...(mtu === undefined ? [] : [`sudo ip link set dev ${name} mtu ${String(mtu)}`]),
    ...(queue === undefined ? [] : [`sudo ip link set dev ${name} txqueuelen ${String(queue)}`]),
    ...(hostAddress === undefined ? [] : [`sudo ip address add ${hostAddress.toString()} dev ${name}`]),
    `sudo ip link set dev ${name} up`,
  ];
}

/** What to do without the privilege, in words, for the end of an error message. */
export function setupAdvice(setup: TapSetup): string {
  return [
    "Run this once; from then on no privilege is needed:",
    ...setupCommands(setup).map((command) => `  ${command}`),
    "Or run in a network namespace of your own, which only its own processes can reach: unshare --user --map-root-user --net",
  ].join("\n");
}

/**
 * Brings an interface that is open already into the state asked for, changing only what differs.
 *
 * @throws RangeError for a bad MTU or queue; TapError `EPERM` with {@link setupAdvice} when a change is needed but not allowed.
 */
export function prepareInterface(calls: SystemCalls, setup: TapSetup): InterfaceState {
  const { name, mtu, hostAddress, queue } = setup;
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 576 && mtu <= largestMtu)) {
    throw new RangeError(`mtu ${String(mtu)} is not an integer from 576 to ${String(largestMtu)}`);
  }
  if (hostAddress !== undefined && hostAddress.address.family !== 4) {
    throw new RangeError(`hostAddress ${hostAddress.toString()} is not an IPv4 address`);
  }
  if (queue !== undefined && !(Number.isInteger(queue) && queue >= 1 && queue <= longestQueue)) {
    throw new RangeError(`queue ${String(queue)} is not an integer from 1 to ${String(longestQueue)}`);
  }
  const control = new InterfaceControl(calls);
  try {
    const before = control.state(name);
    if (mtu !== undefined && before.mtu !== mtu) control.setMtu(name, mtu);
    if (queue !== undefined && control.queueLength(name) !== queue) control.setQueueLength(name, queue);
    if (hostAddress !== undefined && before.address === undefined) control.setAddress(name, hostAddress);
    if (!before.up) control.setUp(name);
    const after = control.state(name);
    if (after.mtu < 576) throw new RangeError(`"${name}" has an MTU of ${String(after.mtu)}: at least 576 are needed`);
    return after;
  } catch (error) {
    if (!(error instanceof TapError) || (error.code !== "EPERM" && error.code !== "EACCES")) throw error;
    throw new TapError(error.code, `${error.message}\n${setupAdvice(setup)}`, { cause: error });
  } finally {
    control.close();
  }
}
