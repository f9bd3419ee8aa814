import { defineConfig, device } from "@tesserae/config/config";

export const config = defineConfig({
  name: "disk-driver",
  main: "./main.ts",
  devices: { xen: device.xen(), disk: device.block({ requires: ["persistent"] }), log: device.log() },
});
