import type { Change } from "./draft.ts";
import { isSpecial, parentOf } from "./path.ts";
import { access, isAllowed, type Actor, type LifeOf, type Permissions } from "./permissions.ts";

/** Who is told of changes. */
export interface Watcher {
  readonly actor: Actor;
  /** @param path of the node that changed, absolute, or a special name */
  notify(watch: Watch, path: string): void;
}

/** One path that somebody watches. */
export class Watch {
  readonly watcher: Watcher;
  /** Absolute, or a special name. */
  readonly path: string;
  readonly token: string;
  /** How many characters of an absolute path are left out for this watcher: it gave a relative one. */
  readonly cut: number;
  /** Paths of events that the watcher has not got yet. */
  readonly pending = new Set<string>();

  constructor(watcher: Watcher, path: string, token: string, cut: number) {
    this.watcher = watcher;
    this.path = path;
    this.token = token;
    this.cut = cut;
  }
}

/** All watches, by path: what a change costs depends on its depth, and not on how many there are elsewhere. */
export class Watches {
  readonly #byPath = new Map<string, Set<Watch>>();
  readonly #lifeOf: LifeOf;
  #fired: { readonly watch: Watch; readonly path: string }[] = [];

  constructor(lifeOf: LifeOf) {
    this.#lifeOf = lifeOf;
  }

  /** How many there are. */
  size = 0;

  add(watch: Watch): void {
    this.size++;
    const there = this.#byPath.get(watch.path);
    if (there === undefined) this.#byPath.set(watch.path, new Set([watch]));
    else there.add(watch);
  }

  remove(watch: Watch): void {
    const there = this.#byPath.get(watch.path);
    if (there?.delete(watch) === true) this.size--;
    if (there?.size === 0) this.#byPath.delete(watch.path);
  }

  /** Finds those who watch the node or what is above it, and may read it. They hear of it with {@link Watches.tell}. */
  fire({ path, readable, isBelow }: Change): void {
    this.#fireAt(path, path, readable);
    if (isBelow || isSpecial(path)) return;
    for (let above = path; above !== "/";) {
      above = parentOf(above);
      this.#fireAt(above, path, readable);
    }
  }

  #fireAt(watched: string, path: string, readable: readonly Permissions[]): void {
    for (const watch of this.#byPath.get(watched) ?? []) {
      const { actor } = watch.watcher;
      const may = readable.some((permissions) => isAllowed(permissions, actor, access.read, this.#lifeOf));
      if (may) this.#fired.push({ watch, path });
    }
  }

  /** Tells all that was found. */
  tell(): void {
    if (this.#fired.length === 0) return;
    const fired = this.#fired;
    this.#fired = [];
    for (const { watch, path } of fired)
      if (this.#byPath.get(watch.path)?.has(watch)) watch.watcher.notify(watch, path);
  }
}
