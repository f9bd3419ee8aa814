import type { Devices } from "@tesserae/config/config";
import { LiveServer, type Restore } from "@tesserae/xenstore/live-server";
import type { UpdateSource } from "@tesserae/xenstore/live-update";
import type { config } from "./tesserae.config.ts";

/**
 * A xenstore. On node for programs of the machine: `XENSTORED_PATH=xenstored.socket xenstore-ls` looks into it. In a
 * domain of Xen's for all other domains: `init-xenstore-domain` starts it.
 */
export async function main({ clients, keeper, timers, log, signal }: Devices<typeof config>): Promise<void> {
  const domains = clients.domains === undefined ? {} : { domains: clients.domains };
  const print = (text: string): void => log.info("print", { text });
  const onFault = (error: unknown): void => log.error("a server died, and another goes on", { error: String(error) });
  const server = new LiveServer({ timers, ...domains, keeper, print, onFault }, loadRestore);
  const stop = await clients.serve(server);
  log.info("serving", { at: clients.where });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await stop();
}

/** Newer code for `xenstore-control live-update`: a module that exports `XenstoreServer`. */
async function loadRestore(source: UpdateSource): Promise<Restore> {
  const address =
    source.kind === "file" ? `file://${source.path}` : `data:text/javascript;base64,${base64(source.bytes)}`;
  const module: unknown = await import(address);
  if (typeof module !== "object" || module === null || !("XenstoreServer" in module))
    throw new RangeError("the module exports no XenstoreServer");
  const { XenstoreServer } = module;
  if (typeof XenstoreServer !== "function" || !("restore" in XenstoreServer))
    throw new RangeError("its XenstoreServer cannot restore");
  const { restore } = XenstoreServer;
  if (typeof restore !== "function") throw new RangeError("its XenstoreServer cannot restore");
  // as: what a module exports under this name is a server of some version of this library.
  return (...given) => restore.call(XenstoreServer, ...given) as ReturnType<Restore>;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
