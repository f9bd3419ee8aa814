import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "bench-guest",
  main: "./main.ts",
  keys: {
    port: key.port({ default: 8080, stage: "run", doc: "port of the web server" }),
    udp: key.port({ default: 5353, stage: "run", doc: "port that sends datagrams back" }),
  },
  devices: { stack: device.stack(), timers: device.timers(), log: device.log() },
});
