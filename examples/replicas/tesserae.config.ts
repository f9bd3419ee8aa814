import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "replicas",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    peers: key.string({ default: "", stage: "run", doc: "names of the other replicas, with spaces between them" }),
    name: key.string({ default: "a", stage: "run", doc: "name of this one" }),
    port: key.port({ default: 7000, stage: "run", doc: "TCP port of every replica" }),
    bug: key.boolean({ default: true, stage: "run", doc: "whether the mistake is in" }),
  },
  devices: {
    stack: device.stack(),
    resolver: device.resolver(),
    timers: device.timers(),
    log: device.log(),
  },
});
