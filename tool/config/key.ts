import type { Endpoint, IpAddress, Prefix } from "@tesserae/device/address";
import {
  describeType,
  formatDuration,
  formatKey,
  type Interface4,
  type Interface6,
  parseKey,
  type KeyType,
  type KeyValue,
} from "@tesserae/image/key";
import { ConfigError } from "./diagnostic.ts";
import { stackTrace } from "./location.ts";

/** When a key is given: with `tesserae build` (it is folded into the image) or when the image starts. */
export type Stage = "build" | "run";

/** A key as declared. `T` is the type of its value in `main`. */
export interface Key<out T extends KeyValue = KeyValue> {
  readonly declares: "key";
  readonly type: KeyType;
  /** The text of the default; absent: the key must be given. */
  readonly default: string | undefined;
  readonly stage: Stage;
  readonly doc: string;
  /** Where it was declared. */
  readonly trace: string;
  /** Never set: carries `T`. */
  readonly "~value"?: T;
}

/** What every key takes beside its own options. `D` is how its default is written. */
export interface KeyOptions<D> {
  /** Absent: the key must be given. */
  readonly default?: D;
  /** Default `run`. */
  readonly stage?: Stage;
  /** What it is for, in a few words: shown by `--help`. */
  readonly doc: string;
}

/** Bounds, inclusive. */
interface Range {
  readonly min?: number;
  readonly max?: number;
}

/**
 * The builders of keys. Each throws ConfigError when its default is not a value that it allows.
 *
 * `key.port({ default: 8080, doc: "port to listen on" })` is `--port 9000` on the command line and `keys.port`, a
 * number, in `main`.
 */
export const key = {
  /** Text of at most `maxLength` characters (default 4096). */
  string(options: KeyOptions<string> & { readonly maxLength?: number }): Key<string> {
    const { maxLength } = options;
    return declare({ kind: "string", ...(maxLength === undefined ? {} : { maxLength }) }, options, options.default);
  },
  /** An integer from `min` to `max`. */
  integer(options: KeyOptions<number> & Range): Key<number> {
    return declare({ kind: "integer", ...rangeOf(options) }, options, textOf(options.default));
  },
  /** A port from 0 to 65535. */
  port(options: KeyOptions<number>): Key<number> {
    return declare({ kind: "port" }, options, textOf(options.default));
  },
  /** `--name`, `--no-name`. The default is false when none is given. */
  boolean(options: KeyOptions<boolean>): Key<boolean> {
    return declare({ kind: "boolean" }, options, textOf(options.default ?? false));
  },
  /** A duration, in milliseconds in `main`. The default is milliseconds or text such as `1.5s`. */
  duration(options: KeyOptions<number | string> & Range): Key<number> {
    const usual = options.default;
    const text = typeof usual === "number" ? formatDuration(usual) : usual;
    return declare({ kind: "duration", ...rangeOf(options) }, options, text);
  },
  /** A size in bytes. The default is bytes or text such as `64KiB`. */
  bytes(options: KeyOptions<number | string> & Range): Key<number> {
    return declare({ kind: "bytes", ...rangeOf(options) }, options, textOf(options.default));
  },
  /** An IP address; the default is its text or an IpAddress. */
  address(options: KeyOptions<string | IpAddress>): Key<IpAddress> {
    return declare({ kind: "address" }, options, textOf(options.default));
  },
  /** An address with a prefix length. */
  prefix(options: KeyOptions<string | Prefix>): Key<Prefix> {
    return declare({ kind: "prefix" }, options, textOf(options.default));
  },
  /** An address with a port. */
  endpoint(options: KeyOptions<string | Endpoint>): Key<Endpoint> {
    return declare({ kind: "endpoint" }, options, textOf(options.default));
  },
  /** How an interface gets its IPv4 address: `dhcp`, `10.0.0.2/24`, or `10.0.0.2/24 via 10.0.0.1`. */
  interface4(options: KeyOptions<string>): Key<Interface4> {
    return declare({ kind: "interface4" }, options, options.default);
  },
  /** How an interface gets its IPv6 addresses: `auto`, `off`, `fd00::2/64`, or `fd00::2/64 via fe80::1`. */
  interface6(options: KeyOptions<string>): Key<Interface6> {
    return declare({ kind: "interface6" }, options, options.default);
  },
  /** One of a few words. */
  choice<const C extends string>(choices: readonly C[], options: KeyOptions<NoInfer<C>>): Key<C> {
    return declare({ kind: "choice", choices }, options, options.default);
  },
} as const;

function declare<T extends KeyValue>(type: KeyType, options: KeyOptions<unknown>, text: string | undefined): Key<T> {
  if (text !== undefined) {
    const parsed = parseKey(type, text);
    if (!parsed.ok) throw new ConfigError(`the default ${parsed.message}`, `allowed: ${describeType(type)}`);
  }
  const stage = options.stage ?? "run";
  return { declares: "key", type, default: text, stage, doc: options.doc, trace: stackTrace() };
}

function textOf(value: KeyValue | undefined): string | undefined {
  return value === undefined ? undefined : formatKey(value);
}

function rangeOf({ min, max }: Range): Range {
  return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}
