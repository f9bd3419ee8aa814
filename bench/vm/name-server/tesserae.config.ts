import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "bench-name-server",
  main: "./main.ts",
  keys: { names: key.integer({ default: 10_000, min: 1, max: 1_000_000, stage: "run", doc: "hosts in the zone" }) },
  devices: { stack: device.stack(), timers: device.timers(), random: device.random(), log: device.log() },
});
