import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "www",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: { port: key.port({ default: 8080, stage: "run", doc: "port to serve on" }) },
  devices: {
    stack: device.stack(),
    site: device.files("./site"),
    timers: device.timers(),
    log: device.log(),
  },
});
