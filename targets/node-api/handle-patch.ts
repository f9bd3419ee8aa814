import { type Handle, socketKey } from "./bindings.ts";
import type { Patches } from "./patches.ts";

/** A method of a handle, called with the arguments that Node calls it with. */
type Method = (this: unknown, ...args: never[]) => unknown;

/**
 * Replaces the methods of one class of native handles. A handle is ours, and has a state, unless it has a file
 * descriptor when the first method is called on it: then it is the kernel's and keeps its native methods.
 */
export class HandlePatch<S> {
  readonly #prototype: object;
  readonly #patches: Patches;
  readonly #make: (handle: never) => S;
  readonly #fd: Method;
  readonly #close: Method;

  /** @param make makes the state of a handle that is new */
  constructor(prototype: object, patches: Patches, make: (handle: never) => S) {
    this.#prototype = prototype;
    this.#patches = patches;
    this.#make = make;
    this.#fd = inherited(prototype, "fd");
    this.#close = inherited(prototype, "close");
  }

  /** The state of a handle, made if need be; `undefined` when the handle is the kernel's. */
  find(handle: Handle): S | undefined {
    // as: the key is ours, and this class alone gives handles of its prototype a state.
    const holder = handle as { [socketKey]?: S };
    const known = holder[socketKey];
    if (known !== undefined) return known;
    if (Number(this.#fd.call(handle)) >= 0) return undefined;
    // as: the handle is of the class that `make` is for.
    const made = this.#make(handle as never);
    holder[socketKey] = made;
    return made;
  }

  /** Replaces a method; `own` gets the arguments that Node calls it with. */
  method(name: string, own: (state: S, ...args: never[]) => unknown): void {
    const find = (handle: Handle): S | undefined => this.find(handle);
    const native = inherited(this.#prototype, name);
    this.#patches.define(this.#prototype, name, {
      value: function (this: Handle, ...args: never[]): unknown {
        const state = find(this);
        return state === undefined ? native.apply(this, args) : own(state, ...args);
      },
    });
  }

  /**
   * Replaces a method by `own` and then, when that answers 0, the native one: an idle native handle keeps no loop
   * alive, but it knows whether it is referenced, and calls back when it is closed.
   */
  before(name: "close" | "reset" | "ref" | "unref", own: (state: S) => number): void {
    const find = (handle: Handle): S | undefined => this.find(handle);
    const native = inherited(this.#prototype, name);
    const after = name === "reset" ? this.#close : native;
    this.#patches.define(this.#prototype, name, {
      value: function (this: Handle, ...args: never[]): unknown {
        const state = find(this);
        if (state === undefined) return native.apply(this, args);
        const status = own(state);
        if (status === 0) after.apply(this, args);
        return status;
      },
    });
  }

  /** Replaces a property that Node only reads. */
  value(name: string, own: (state: S) => unknown): void {
    const native = inherited(this.#prototype, name);
    const find = (handle: Handle): S | undefined => this.find(handle);
    this.#patches.define(this.#prototype, name, {
      get(this: Handle) {
        const state = find(this);
        return state === undefined ? native.call(this) : own(state);
      },
      set: () => undefined,
    });
  }
}

/** A method, the getter of a property, or a function that gives its value, from the chain of prototypes. */
function inherited(prototype: object, name: string): Method {
  for (let owner: object | null = prototype; owner !== null; owner = nextPrototype(owner)) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    if (descriptor === undefined) continue;
    const value: unknown = descriptor.value;
    // as: a method of a handle.
    if (typeof value === "function") return value as Method;
    const getter: unknown = Reflect.get(descriptor, "get");
    // as: a getter takes no arguments.
    return typeof getter === "function" ? (getter as Method) : () => value;
  }
  throw new Error(`Node.js ${process.version} is not supported by @tesserae/node-api: handles have no ${name}`);
}

function nextPrototype(object: object): object | null {
  // as: the type says any; it is an object or null.
  return Object.getPrototypeOf(object) as object | null;
}
