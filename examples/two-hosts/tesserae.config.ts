import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "two-hosts",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    role: key.choice(["both", "server", "client"], { default: "both", stage: "run", doc: "which half to run" }),
    server: key.string({ default: "127.0.0.1", stage: "run", doc: "address or name of the server, for the client" }),
    port: key.port({ default: 9009, stage: "run", doc: "TCP port of the server" }),
    bytes: key.integer({ default: 1_000_000, min: 0, max: 2 ** 40, stage: "run", doc: "how much to transfer" }),
  },
  devices: {
    stack: device.stack(),
    resolver: device.resolver(),
    timers: device.timers(),
    log: device.log(),
  },
});
