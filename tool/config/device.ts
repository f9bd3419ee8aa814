import type { Block } from "@tesserae/device/block";
import type { Clock, Timers } from "@tesserae/device/clock";
import type { Console } from "@tesserae/device/console";
import type { Crypto } from "@tesserae/device/crypto";
import type { Kv, WritableKv } from "@tesserae/device/kv";
import type { Log, LogLevel } from "@tesserae/device/log";
import type { Metrics } from "@tesserae/device/metrics";
import type { Netif } from "@tesserae/device/netif";
import type { LocalSockets } from "@tesserae/device/local";
import type { Random } from "@tesserae/device/random";
import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import type { Tcp } from "@tesserae/device/tcp";
import type { Udp } from "@tesserae/device/udp";
import type { XenDomain } from "@tesserae/xen/domain";
import { stackTrace } from "./location.ts";

/** Plain data that can be written into an image. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A device as declared: what is wanted, not yet which implementation. `T` is what `main` gets. */
export interface Slot<out T = unknown> {
  readonly declares: "device";
  readonly kind: string;
  /** Options for the implementation, by name. */
  readonly options: Readonly<Record<string, Json>>;
  readonly implementation: string | undefined;
  readonly version: string | undefined;
  readonly requires: readonly string[];
  readonly with: Readonly<Record<string, string>>;
  readonly trace: string;
  /** Never set: carries `T`. */
  readonly "~device"?: T;
}

/** How to choose among the implementations of a device. */
export interface Choice {
  /** The name of the one to take, whatever the target prefers. */
  readonly implementation?: string;
  /** The versions of the implementation that will do, as in package.json: `^1.2`. */
  readonly version?: string;
  /** Capabilities that it must have, such as `persistent`. */
  readonly requires?: readonly string[];
  /** Which of several declared devices to pass: parameter of the implementation → name in `devices`. */
  readonly with?: Readonly<Record<string, string>>;
}

/**
 * The builders of devices: each says what the application wants, and the target decides what it gets.
 */
export const device = {
  /**
   * TCP and UDP: the kernel's sockets on node, our own stack elsewhere.
   *
   * `ipv4` is the default of the run-time key of that name where the stack is ours: `dhcp`, `10.0.0.2/24`, or
   * `10.0.0.2/24 via 10.0.0.1`.
   */
  stack(options: Choice & { readonly ipv4?: string } = {}): Slot<Stack> {
    return declare("stack", options);
  },
  /** TCP alone. */
  tcp(options: Choice = {}): Slot<Tcp> {
    return declare("tcp", options);
  },
  /** UDP alone. */
  udp(options: Choice = {}): Slot<Udp> {
    return declare("udp", options);
  },
  /**
   * An Ethernet interface (tap, sim, vm). Several are several: on tap `--tap tap0,tap1` names them in the order of their
   * declaration. `name` is for the implementation `tap`, which opens a device of its own.
   */
  netif(options: Choice & { readonly name?: string } = {}): Slot<Netif> {
    return declare("netif", options);
  },
  /** Names to addresses. `names` are known without asking anybody, where the resolver is ours. */
  resolver(
    options: Choice & { readonly names?: Readonly<Record<string, string | readonly string[]>> } = {},
  ): Slot<Resolver> {
    return declare("resolver", options);
  },
  /** The files of a folder, read-only; compiled into the image unless `implementation` is `directory`. */
  files(folder: string, options: Choice = {}): Slot<Kv> {
    const all = { ...options, folder };
    return declare("files", all);
  },
  /**
   * A key-value store that can be written to: in memory, or, in the simulator, on the host's disk when `requires` has
   * `persistent`. The `implementation` named `kept` keeps it where the target can: on node and tap in the folder that the
   * run-time key `keep` names, in the simulator on the host's disk, in the vm not at all.
   */
  kv(options: Choice = {}): Slot<WritableKv> {
    return declare("kv", options);
  },
  /**
   * A block device: memory, or the file `path` when `requires` has `persistent` (in the simulator the host's disk).
   *
   * `sectors` (default 2048) of `sectorSize` bytes (default 512) are for memory.
   */
  block(
    options: Choice & { readonly path?: string; readonly sectors?: number; readonly sectorSize?: number } = {},
  ): Slot<Block> {
    return declare("block", options);
  },
  /** Time, and waking up. */
  timers(options: Choice = {}): Slot<Timers> {
    return declare("timers", options);
  },
  /** Time alone. */
  clock(options: Choice = {}): Slot<Clock> {
    return declare("timers", options);
  },
  /** Random bytes. */
  random(options: Choice = {}): Slot<Random> {
    return declare("random", options);
  },
  /** Hashes, message authentication codes and signatures. Keys are made of `random`'s bytes. */
  crypto(options: Choice = {}): Slot<Crypto> {
    return declare("crypto", options);
  },
  /** Connections between programs of one machine: Unix sockets. */
  local(options: Choice = {}): Slot<LocalSockets> {
    return declare("local", options);
  },
  /** The Xen domain that the image is: for driver domains, which serve devices to others (target `xen`). */
  xen(options: Choice = {}): Slot<XenDomain> {
    return declare("xen", options);
  },
  /** The operator's terminal. */
  console(options: Choice = {}): Slot<Console> {
    return declare("console", options);
  },
  /** Structured log; `level` is the default of the run-time key `logLevel`. */
  log(options: Choice & { readonly level?: LogLevel } = {}): Slot<Log> {
    return declare("log", options);
  },
  /** Counters, gauges and histograms. */
  metrics(options: Choice = {}): Slot<Metrics> {
    return declare("metrics", options);
  },
  /** A device of a kind of your own: `implementations` must have one. `options` go to it. */
  custom<T>(kind: string, options: Choice & { readonly options?: Readonly<Record<string, Json>> } = {}): Slot<T> {
    const { options: own, ...choice } = options;
    const all = { ...own, ...choice };
    return declare(kind, all);
  },
} as const;

function declare<T>(kind: string, all: Choice): Slot<T> {
  const { implementation, version, requires, with: wiring, ...options } = all;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    declares: "device",
    kind,
    // as: the builders' own options are all Json; those of device.custom are declared so.
    options: Object.fromEntries(given) as Record<string, Json>,
    implementation,
    version,
    requires: requires ?? [],
    with: wiring ?? {},
    trace: stackTrace(),
  };
}
