import type { KeyValue } from "@tesserae/image/key";
import type { Slot } from "./device.ts";
import { device } from "./device.ts";
import type { Implementation } from "./implementation.ts";
import { implementation } from "./implementation.ts";
import type { Key } from "./key.ts";
import { key } from "./key.ts";
import { stackTrace } from "./location.ts";

export { device, implementation, key };

/** A configuration as declared: the type parameters carry the names and types that `main` gets. */
export interface Config<K = Readonly<Record<string, Key>>, D = Readonly<Record<string, Slot>>> {
  readonly declares: "config";
  readonly name: string;
  readonly main: string;
  readonly scenario: string | undefined;
  readonly keys: K;
  readonly devices: D;
  readonly implementations: readonly Implementation[];
  readonly trace: string;
}

/** A mistake, in words: the compiler shows the text. */
export interface Mistake<Text extends string> {
  readonly "~mistake": Text;
}

type CheckedKeys<K> = {
  readonly [P in keyof K]: K[P] extends Key
    ? K[P]
    : K[P] extends Slot
      ? Mistake<`keys.${P & string} is a device: declare it under devices`>
      : Mistake<`keys.${P & string} is not a key: write key.string({ … }), key.port({ … }) …`>;
};

type CheckedDevices<D> = {
  readonly [P in keyof D]: P extends "keys" | "signal"
    ? Mistake<`main gets something else as "${P}": give the device another name`>
    : D[P] extends Slot
      ? D[P]
      : D[P] extends Key
        ? Mistake<`devices.${P & string} is a key: declare it under keys`>
        : Mistake<`devices.${P & string} is not a device: write device.stack(), device.log() …`>;
};

/** What `main` gets: the devices by their names, the values of the keys, and the signal that asks it to stop. */
export type Devices<C> =
  C extends Config<infer K, infer D>
    ? {
        readonly [P in keyof D | "keys" | "signal"]: P extends keyof D
          ? DeviceOf<D[P]>
          : Always<K>[P & keyof Always<K>];
      }
    : Mistake<"Devices<…> wants the type of a configuration: Devices<typeof config>">;

/** The type of `main` for a configuration. */
export type Main<C> = (devices: Devices<C>) => void | Promise<void>;

interface Always<K> {
  readonly keys: Keys<K>;
  readonly signal: AbortSignal;
}

// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- a record without names is meant
type NoNames = Readonly<Record<never, never>>;
type Keys<K> = { readonly [P in keyof K]: K[P] extends Key<infer T extends KeyValue> ? T : never };
type DeviceOf<S> = S extends Slot<infer T> ? T : never;

/**
 * Declares an application: its name, its main module, the keys it takes and the devices it wants.
 *
 * `tesserae.config.ts` exports what this returns as `config`; nothing is made before the image runs.
 */
export function defineConfig<
  const K extends Readonly<Record<string, unknown>> = NoNames,
  const D extends Readonly<Record<string, unknown>> = NoNames,
>(declaration: {
  /** Lower-case letters, digits and dashes: the name of the image. */
  readonly name: string;
  /** The module that exports `main`, relative to this file. */
  readonly main: string;
  /** The module that exports `scenario`, for the simulator, relative to this file. */
  readonly scenario?: string;
  readonly keys?: K & CheckedKeys<K>;
  readonly devices?: D & CheckedDevices<D>;
  /** Implementations beside the ones that come with Tesserae. */
  readonly implementations?: readonly Implementation[];
}): Config<K, D> {
  return {
    declares: "config",
    name: declaration.name,
    main: declaration.main,
    scenario: declaration.scenario,
    // as: absent is the empty record that the type parameters default to.
    keys: declaration.keys ?? ({} as K),
    // as: likewise.
    devices: declaration.devices ?? ({} as D),
    implementations: declaration.implementations ?? [],
    trace: stackTrace(),
  };
}
