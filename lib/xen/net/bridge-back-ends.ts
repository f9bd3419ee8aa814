import type { Netif } from "@tesserae/device/netif";
import { Bridge, type BridgePort } from "@tesserae/netif/bridge";
import { BackEndDirectory } from "../bus/back-end-directory.ts";
import type { XenDomain } from "../domain.ts";
import type { XenError } from "../xen-error.ts";
import { type NetbackOptions, serveNetback } from "./netback.ts";

export interface BridgeBackEndsOptions extends Omit<NetbackOptions, "onConnect" | "onDisconnect" | "name" | "mac"> {
  /** What the guests are joined to; the bridge owns it. Default: the guests have each other only. */
  readonly uplink?: Netif;
  /**
   * Lets each guest use the address only that the toolstack gave it, if it gave one; frames from others are dropped.
   * Default true: a guest cannot pass for another.
   */
  readonly locked?: boolean;
  /** Addresses remembered behind each interface. Default 256. */
  readonly addresses?: number;
  /** A guest's interface is connected, or no more. */
  readonly onChange?: (name: string, isConnected: boolean) => void;
  /** A device is over because of this. */
  readonly onError?: (path: string, error: XenError) => void;
}

/** A driver domain for networks: a bridge, and a back end for each interface that the toolstack gives to this domain. */
export interface BridgeBackEnds {
  readonly bridge: Bridge;
  readonly directory: BackEndDirectory;
  /** Ends all back ends, and closes the uplink. Idempotent. */
  close(): Promise<void>;
}

/** Serves the network interfaces of other domains, in `backend/vif`, and bridges them. */
export function bridgeBackEnds(domain: XenDomain, options: BridgeBackEndsOptions = {}): BridgeBackEnds {
  const { uplink, locked = true, onChange, onError, addresses, ...common } = options;
  const bridge = new Bridge({ clock: domain.timers, ...(addresses === undefined ? {} : { addresses }) });
  if (uplink !== undefined) bridge.attach(uplink);
  const directory = new BackEndDirectory(domain, "vif", {
    ...(onError === undefined ? {} : { onError }),
    serve: (path) => {
      const ports = new Map<Netif, BridgePort>();
      return serveNetback(domain, path, {
        ...common,
        onConnect: (netif, mac) => {
          ports.set(netif, bridge.attach(netif, locked && mac !== undefined ? { only: mac } : {}));
          onChange?.(netif.name, true);
        },
        onDisconnect: (netif) => {
          const port = ports.get(netif);
          ports.delete(netif);
          if (port !== undefined) bridge.detach(port);
          onChange?.(netif.name, false);
        },
      });
    },
  });
  const close = async (): Promise<void> => {
    await directory.close();
    await uplink?.close();
  };
  return { bridge, directory, close };
}
