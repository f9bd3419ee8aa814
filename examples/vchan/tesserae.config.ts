import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "vchan",
  main: "./main.ts",
  keys: {
    role: key.choice(["serve", "ask"], { default: "serve", doc: "serve a domain, or ask one that serves" }),
    peer: key.integer({
      ...{ default: 0, min: 0, max: 32_751 },
      doc: "number of the other domain; 0 when serving: xenstore's data/peer, as soon as it is there",
    }),
    address: key.address({
      default: "0.0.0.0",
      doc: "address of the domain that serves, for TCP; none: a vchan alone",
    }),
    port: key.port({ default: 7000, doc: "TCP port" }),
  },
  devices: {
    xen: device.xen(),
    stack: device.stack(),
    crypto: device.crypto(),
    console: device.console(),
    log: device.log(),
  },
});
