import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { Stack } from "@tesserae/device/stack";
import type { KeyPlan, KeyValue } from "./key.ts";

/** All that a target needs to run one application: what `tesserae build` writes into an image. */
export interface ImagePlan {
  readonly name: string;
  /** `node`, `tap`, `sim` … */
  readonly target: string;
  /** The keys that are given when the image starts: the application's and its devices'. */
  readonly keys: readonly KeyPlan[];
  /** The keys that were given when it was built. */
  readonly constants: Readonly<Record<string, KeyValue>>;
  /** In the order in which they are made: each after what it needs. Ids are unique. */
  readonly devices: readonly DevicePlan[];
  /** The property of main's argument → the id of the device. */
  readonly bindings: Readonly<Record<string, string>>;
  main(devices: Record<string, unknown>): Promise<void> | void;
  /** On sim: the module of the application's scenario, when it has one. */
  readonly scenario?: unknown;
  /**
   * Where code of the image uses Node.js's networking modules, and the target has its own stack: puts them on that.
   * Called once, before main, with the first stack.
   */
  installNodeApi?(options: { readonly stack: Stack; readonly timers: Timers; readonly random: Random }): void;
}

/** One device of an image. */
export type DevicePlan = BaseDevice | MadeDevice;

/** A device that the target's boot supplies, by kind; the boot closes it too. */
export interface BaseDevice {
  readonly id: string;
  /** `timers`, `random`, `console`; `netif` where the stack is ours; on vm and sim also `block`, on sim `kv`. */
  readonly kind: string;
  readonly base: true;
}

/** A device that a factory makes from other devices and options. */
export interface MadeDevice {
  readonly id: string;
  readonly kind: string;
  readonly base?: false;
  /** For messages: the name of the implementation. */
  readonly implementation: string;
  /** The factory. It has no state outside what it returns: the simulator calls it once a host. */
  create(args: Readonly<Record<string, unknown>>): unknown;
  /** The parameter → the id of the device passed. */
  readonly needs: Readonly<Record<string, string>>;
  /** The parameter → a fixed value, or the name of the run-time key whose value is passed. */
  readonly options: Readonly<Record<string, { readonly value: unknown } | { readonly key: string }>>;
}

/** What a target's boot brings. */
export interface ImageHost {
  /** The base devices by kind. They outlive the image: whoever made them closes them. */
  readonly base: Readonly<Record<string, unknown>>;
  /** Base devices of which the plan's devices of the kind get one each, in the order of the plan. */
  readonly several?: Readonly<Record<string, readonly unknown[]>>;
  /** The texts of the run-time keys that were given, by key name. */
  readonly keys: Readonly<Record<string, string>>;
  /** Aborts when the image is to stop. Main gets it. */
  readonly signal: AbortSignal;
  /** Gets each device that a factory made, before the next one is made. What it throws ends the start. */
  made?(device: MadeDevice, made: unknown): Promise<void> | void;
  /** Takes errors that end nothing: a device that failed to close. Must not throw. */
  report(error: unknown): void;
}
