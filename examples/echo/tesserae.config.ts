import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "echo",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: { port: key.port({ default: 7007, stage: "run", doc: "TCP and UDP port to answer on (RFC 862 has 7)" }) },
  devices: { stack: device.stack(), log: device.log() },
});
