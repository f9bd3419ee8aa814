import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "iperf3",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: { port: key.port({ default: 5201, stage: "run", doc: "TCP port to serve iperf3 on" }) },
  devices: { stack: device.stack(), timers: device.timers(), log: device.log() },
});
