/** Properties of other people's objects that were replaced, to be put back. */
export class Patches {
  readonly #undo: (() => void)[] = [];

  /** Gives `target` an own property. It stays configurable, and writable where it has a value. */
  define(target: object, name: PropertyKey, descriptor: PropertyDescriptor): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable: before?.enumerable ?? false,
      ...("value" in descriptor ? { writable: true } : {}),
      ...descriptor,
    });
    this.#undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    });
  }

  /** Replaces a method by one that may call it. */
  method<A extends unknown[], R>(
    target: object,
    name: string,
    replacement: (this: object, before: (this: object, ...args: A) => R, args: A) => R,
  ): void {
    // as: the caller names a method whose type it knows.
    const before = Reflect.get(target, name) as (this: object, ...args: A) => R;
    this.define(target, name, {
      value: function (this: object, ...args: A): R {
        return replacement.call(this, before, args);
      },
    });
  }

  /** Calls `act` at the end of `restore`. */
  afterwards(act: () => void): void {
    this.#undo.unshift(act);
  }

  /** Puts everything back, the last replaced first. */
  restore(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
