import type { LocalSockets } from "@tesserae/device/local";
import type { LiveServer } from "./live-server.ts";
import { serveFlow } from "./serve.ts";
import type { Domains } from "./server-options.ts";

/** What brings a server its clients: a Unix socket, or the rings of Xen's domains. */
export interface StoreClients {
  /** How domains are reached, for the server's options; undefined: there are none. */
  readonly domains: Domains | undefined;
  /** In words, for a log. */
  readonly where: string;

  /**
   * Begins to bring clients.
   *
   * @returns what ends it
   */
  serve(server: LiveServer): Promise<() => Promise<void>>;
}

/** Programs of the same machine, by a Unix socket: each may do what domain 0 may. */
export function createSocketClients({ local, path }: { local: LocalSockets; path: string }): StoreClients {
  return {
    domains: undefined,
    where: path,
    async serve(server) {
      const listener = await local.listen(path, (flow) => serveFlow(server, flow, { kind: "local" }));
      return () => listener.close();
    },
  };
}
