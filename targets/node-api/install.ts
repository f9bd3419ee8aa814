import { AsyncLocalStorage } from "node:async_hooks";
import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import { Activity } from "./activity.ts";
import { loadBindings } from "./bindings.ts";
import { Errno } from "./errno.ts";
import type { Host } from "./host.ts";
import { Patches } from "./patches.ts";
import { promptStack } from "./prompt-stack.ts";
import { NameService } from "./name-service.ts";
import { patchTcp } from "./tcp-patch.ts";
import { patchTls } from "./tls-patch.ts";
import { patchUdp } from "./udp-patch.ts";
import { patchLookup } from "./lookup-patch.ts";
import { patchChannel } from "./channel-patch.ts";
import { patchInterfaces } from "./interfaces-patch.ts";

export interface NodeApiOptions {
  /** Where Node's sockets are from now on. Stays the caller's, who closes it after `uninstall`. */
  readonly stack: Stack;
  /**
   * The names of `dns.lookup`, and with it of `net.connect`, `fetch` and the like. When it is a stub resolver of
   * `@tesserae/dns`, it answers `dns.resolve*` and `dns.reverse`, too; else these have nobody to ask.
   */
  readonly resolver: Resolver;
  /**
   * Told whether sockets keep the event loop alive. A timer of this package does that by itself; a driver whose own
   * handles are unreferenced needs nothing more.
   */
  readonly onActive?: (active: boolean) => void;
}

export interface NodeApi {
  /**
   * Gives Node its own sockets back, for handles that are made from now on. Close the sockets made meanwhile first: a
   * handle of ours has no methods any more. Idempotent.
   */
  uninstall(): void;
}

let isInstalled = false;

/**
 * Puts `node:net`, `tls`, `http`, `https`, `http2`, `dgram`, `dns` and `fetch` on a stack of ours, in this thread, for all
 * code in it, and `os.networkInterfaces` with them: call it before the application is loaded. Pipes and inherited file descriptors stay the kernel's.
 *
 * @throws TypeError when the stack cannot open ports at once; Error when it is installed already, or when this version
 * of Node.js is not supported.
 */
export function installNodeApi(options: NodeApiOptions): NodeApi {
  if (isInstalled) throw new Error("Node's sockets are on a Tesserae stack already: uninstall that first");
  const stack = promptStack(options.stack);
  const bindings = loadBindings();
  const activity = new Activity(options.onActive);
  const host: Host = {
    stack,
    bindings,
    errno: new Errno(bindings.uv),
    activity,
    root: AsyncLocalStorage.snapshot(),
  };
  const patches = new Patches();
  try {
    patchTls(host, patches, patchTcp(host, patches));
    patchUdp(host, patches);
    const names = new NameService(options.resolver);
    patchLookup(host, patches, names);
    patchChannel(host, patches, names);
    patchInterfaces(options.stack, patches);
  } catch (error) {
    patches.restore();
    activity.close();
    throw error;
  }
  isInstalled = true;
  let isOurs = true;
  return {
    uninstall: () => {
      if (!isOurs) return;
      isOurs = false;
      isInstalled = false;
      patches.restore();
      activity.close();
    },
  };
}
