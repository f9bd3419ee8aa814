/** What a client asks about its own watches. */
import type { Connection } from "./connection.ts";
import { absolutePath, isSpecial } from "./path.ts";
import type { Store } from "./store.ts";
import { Watch } from "./watches.ts";
import type { ErrorName } from "./wire.ts";

/**
 * A client watches a node, whether it is there or not, or a special name.
 *
 * @param text as the client gave it: relative to its home, absolute, or special
 */
export function setWatch(store: Store, connection: Connection, text: string, token: string): Watch | ErrorName {
  const path = watched(connection, text);
  if (path === undefined) return "EINVAL";
  const { watches, actor } = connection;
  const key = keyOf(path, token);
  if (watches.has(key)) return "EEXIST";
  const { limits } = store;
  const most = actor.privileged ? limits.watches : store.most("watches", actor.domain);
  if (watches.size >= most || token.length > limits.token) return "ENOSPC";
  const watch = new Watch(connection, path, token, path.length - text.length);
  watches.set(key, watch);
  store.watches.add(watch);
  return watch;
}

/** A client does not watch any more: events of it that were not taken are dropped. @returns why not */
export function dropWatch(store: Store, connection: Connection, text: string, token: string): ErrorName | undefined {
  const path = watched(connection, text);
  if (path === undefined) return "EINVAL";
  const key = keyOf(path, token);
  const watch = connection.watches.get(key);
  if (watch === undefined) return "ENOENT";
  unlink(store, connection, watch);
  connection.watches.delete(key);
  return undefined;
}

export function dropAllWatches(store: Store, connection: Connection): void {
  for (const watch of connection.watches.values()) unlink(store, connection, watch);
  connection.watches.clear();
}

function unlink(store: Store, connection: Connection, watch: Watch): void {
  store.watches.remove(watch);
  connection.forgetEvents(watch);
}

function watched(connection: Connection, text: string): string | undefined {
  return isSpecial(text) ? text : absolutePath(text, connection.home);
}

function keyOf(path: string, token: string): string {
  return `${path}\0${token}`;
}
