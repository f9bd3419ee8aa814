import { pageSize } from "@tesserae/xen/grant";
import { XenstoreRings } from "@tesserae/xen/store/rings";
import type { StoreClients } from "@tesserae/xenstore/clients";
import { openWindow } from "../window/window.ts";
import { WindowError } from "../window/window-error.ts";
import { WindowEventChannels } from "./event-channels.ts";
import { WindowForeignPages } from "./foreign-pages.ts";
import { parseStoreStart } from "./store-start.ts";
import { XenFile } from "./xen-file.ts";

/** Xen's: some domain has shut down or crashed, or is being destroyed. */
const domainException = 3;

/**
 * The rings of Xen's domains, on a machine that `init-xenstore-domain` has started: its command line names the event
 * channel of the domain that did (`--event N`), and that domain (`--master-domid N`, 0 without).
 *
 * @throws WindowError on a machine that is no guest of Xen's, or was started otherwise.
 */
export function createRingClients(): StoreClients {
  const file = XenFile.open();
  if (file === undefined)
    throw new WindowError("xenstore's clients are domains of Xen's, and this is no guest of Xen's");
  const window = openWindow();
  const start = parseStoreStart(window.commandLine);
  if (start === undefined)
    throw new WindowError("the command line has no --event: init-xenstore-domain starts this image");
  const { master, port } = start;
  const { foreign, foreignPages } = file.information();
  // The other half of the room is the machine's own, for back ends.
  const pages = foreignPages >>> 1;
  const room = { address: foreign + (foreignPages - pages) * pageSize, pages };
  const channels = new WindowEventChannels((error) => {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  });
  const rings = new XenstoreRings({
    foreign: new WindowForeignPages(file, { ...room, bind: (address, length) => window.shared(address, length) }),
    events: channels,
    onDomainException: (callback) => channels.open({ kind: "virtual", number: domainException }, callback),
    // Of a domain that is being destroyed the other end is closed; whether one has shut down Xen tells others.
    stateOf: (_domain, channel) => (file.isBound(channel.port) ? "there" : "gone"),
  });
  return {
    domains: rings,
    where: `the rings of domains, for domain ${master}`,
    serve(server) {
      rings.start(server, master, port);
      return Promise.resolve(() => {
        rings.close();
        return Promise.resolve();
      });
    },
  };
}
