import { defineConfig, device } from "@tesserae/config/config";
import { implementation } from "@tesserae/config/implementation";
import type { StoreClients } from "@tesserae/xenstore/clients";

const sockets = implementation({
  name: "socket",
  kind: "store-clients",
  module: "@tesserae/xenstore/clients",
  export: "createSocketClients",
  needs: { local: "local" },
  options: {
    path: {
      from: "key",
      key: "socket",
      type: { kind: "string" },
      default: "xenstored.socket",
      doc: "path of the Unix socket to serve on",
    },
  },
  targets: ["node", "tap"],
});

const rings = implementation({
  name: "rings",
  kind: "store-clients",
  module: "@tesserae/vm/xen/store-clients",
  export: "createRingClients",
  targets: ["vm"],
});

export const config = defineConfig({
  name: "xenstored",
  main: "./main.ts",
  implementations: [sockets, rings],
  devices: {
    clients: device.custom<StoreClients>("store-clients"),
    timers: device.timers(),
    log: device.log(),
  },
});
