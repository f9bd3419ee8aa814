import { defineConfig, device } from "@tesserae/config/config";

/** Nothing but a scenario: `npm run soak:connections` runs it with seed after seed. */
export const config = defineConfig({
  name: "connections",
  main: "./main.ts",
  scenario: "./sim.ts",
  devices: { log: device.log() },
});
