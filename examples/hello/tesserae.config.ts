import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "hello",
  main: "./main.ts",
  keys: {
    name: key.string({ default: "world", stage: "run", doc: "whom to greet" }),
    times: key.integer({ default: 3, min: 1, max: 1000, stage: "run", doc: "how often" }),
  },
  devices: { console: device.console(), timers: device.timers() },
});
