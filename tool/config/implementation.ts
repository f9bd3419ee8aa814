import type { KeyType } from "@tesserae/image/key";
import type { Json } from "./device.ts";
import { stackTrace } from "./location.ts";

/** A device that an implementation needs to be given. */
export interface Need {
  readonly kind: string;
  /** Capabilities that it must have. */
  readonly requires?: readonly string[];
  /** The versions of its implementation that will do. */
  readonly version?: string;
}

/** Where the value of a factory's parameter comes from. */
export type Option =
  /** A run-time key of the image. The declaration's option of the same name sets another default. */
  | {
      readonly from: "key";
      readonly key: string;
      readonly type: KeyType;
      readonly default?: string;
      readonly doc: string;
    }
  /** The declaration's option of that name, written into the image. Without a default it must be given. */
  | { readonly from: "declaration"; readonly option: string; readonly default?: Json }
  /** The files of the folder that the declaration's option names, compiled into the image. */
  | { readonly from: "files"; readonly option: string }
  /** A run-time key for a path; by default the folder (or file) that the declaration's option names. */
  | { readonly from: "path"; readonly option: string; readonly key: string; readonly doc: string };

/** One way to provide a device. */
export interface Implementation {
  /** Unique among the implementations of its kind on one target. */
  readonly name: string;
  readonly kind: string;
  /** `@tesserae/kv/memory`, or a path relative to the configuration; absent: the target's boot supplies the device. */
  readonly module?: string;
  /** The exported factory: takes one object of needs and options, returns the device or a promise of it. */
  readonly export?: string;
  /** Parameter → what to pass. A text is a kind. */
  readonly needs?: Readonly<Record<string, string | Need>>;
  readonly options?: Readonly<Record<string, Option>>;
  /** The targets that it runs on; absent: all. */
  readonly targets?: readonly string[];
  /** What it can do beyond its signature. */
  readonly provides?: readonly string[];
  /** Names of implementations, of any kind, that cannot be in the same image. */
  readonly conflicts?: readonly string[];
  /** How many of it one image can have; absent: any number. */
  readonly limit?: number;
  /** Its version; absent: the version of the package that `module` is in. */
  readonly version?: string;
  /** Where it was declared. */
  readonly trace?: string;
}

/** Declares an implementation for `implementations` of a configuration. */
export function implementation(
  declaration: Omit<Implementation, "trace"> & { readonly module: string; readonly export: string },
): Implementation {
  return { ...declaration, trace: stackTrace() };
}
