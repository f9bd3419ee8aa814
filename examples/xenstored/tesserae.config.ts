import { defineConfig, device } from "@tesserae/config/config";
import { implementation } from "@tesserae/config/implementation";
import type { StoreClients } from "@tesserae/xenstore/clients";
import type { Keeper } from "@tesserae/xenstore/keeper";

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

const journalFile = implementation({
  name: "file",
  kind: "journal-file",
  module: "@tesserae/node/journal-file",
  export: "createJournalFile",
  options: {
    path: {
      from: "key",
      key: "journal",
      type: { kind: "string" },
      default: "",
      doc: "file from which a later run goes on, however this one ends; empty: none",
    },
  },
  targets: ["node", "tap"],
});

const fileKeeper = implementation({
  name: "file-keeper",
  kind: "store-keeper",
  module: "@tesserae/xenstore/journal-file",
  export: "createFileKeeper",
  needs: { file: "journal-file" },
  targets: ["node", "tap"],
});

const memoryKeeper = implementation({
  name: "memory-keeper",
  kind: "store-keeper",
  module: "@tesserae/xenstore/keeper",
  export: "createMemoryKeeper",
  targets: ["vm"],
});

export const config = defineConfig({
  name: "xenstored",
  main: "./main.ts",
  implementations: [sockets, rings, journalFile, fileKeeper, memoryKeeper],
  devices: {
    clients: device.custom<StoreClients>("store-clients"),
    keeper: device.custom<Keeper>("store-keeper"),
    timers: device.timers(),
    log: device.log(),
  },
});
