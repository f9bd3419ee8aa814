import type { Patches } from "./patches.ts";

/** A function of one of Node's modules, replaced by one that calls what is installed at the time, else the original. */
export interface Trampoline<A extends unknown[], R> {
  /** Installs what is called instead, until the patches are undone. It may call the original. */
  install(patches: Patches, replacement: (before: (...args: A) => R, args: A) => R): void;
}

/**
 * Replaces `target[name]`, for good. CommonJS packages take hold of functions when they are loaded, which may be before
 * there is a stack: with this done by then, what they hold is ours.
 */
export function trampoline<A extends unknown[], R>(target: object, name: string): Trampoline<A, R> {
  // as: the caller names a function whose type it knows.
  const before = Reflect.get(target, name) as (...args: A) => R;
  const original = (...args: A): R => Reflect.apply(before, target, args);
  let current: ((before: (...args: A) => R, args: A) => R) | undefined;
  const own = (...args: A): R => (current === undefined ? original(...args) : current(original, args));
  Object.defineProperty(own, "name", { value: before.name, configurable: true });
  Object.defineProperty(target, name, { ...Object.getOwnPropertyDescriptor(target, name), value: own });
  return {
    install: (patches, replacement) => {
      current = replacement;
      patches.afterwards(() => (current = undefined));
    },
  };
}
