import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "network-driver",
  main: "./main.ts",
  keys: {
    locked: key.boolean({ default: true, doc: "drop frames of guests that do not come from their own address" }),
  },
  // The bridge's way out: the domain's own interface.
  devices: { xen: device.xen(), uplink: device.netif(), log: device.log() },
});
