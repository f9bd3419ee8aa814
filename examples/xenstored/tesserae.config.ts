import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "xenstored",
  main: "./main.ts",
  keys: {
    socket: key.string({ default: "xenstored.socket", stage: "run", doc: "path of the Unix socket to serve on" }),
  },
  devices: { local: device.local(), timers: device.timers(), log: device.log() },
});
