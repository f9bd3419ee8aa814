import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "nameserver",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    port: key.port({ default: 5300, stage: "run", doc: "UDP and TCP port to answer on (DNS has 53)" }),
    identity: key.string({ default: "", maxLength: 64, stage: "run", doc: "what to answer to NSID and id.server" }),
    rate: key.integer({
      ...{ default: 200, min: 0, max: 1_000_000, stage: "run" },
      doc: "responses of one kind a second to one network over UDP; 0 for no limit",
    }),
    cookies: key.string({
      ...{ default: "", stage: "run" },
      doc: "secret for DNS cookies, 32 hex digits, the same for all servers behind one address; none: a random one",
    }),
    tsig: key.string({
      ...{ default: "", stage: "run" },
      doc: "key of transfers both ways, [algorithm:]name:secret; whoever has it may transfer every zone",
    }),
    transfer: key.string({ default: "", stage: "run", doc: "who may transfer zones: prefixes, with commas" }),
    notify: key.string({
      default: "",
      stage: "run",
      doc: "servers that are told of changes: ADDRESS[:PORT], with commas",
    }),
    secondary: key.string({
      ...{ default: "", stage: "run" },
      doc: "zones that are had from other servers: ZONE=ADDRESS[:PORT], with commas",
    }),
    refresh: key.duration({ default: "10 s", stage: "run", doc: "how often changed zone files are looked for" }),
  },
  devices: {
    stack: device.stack(),
    zones: device.files("./zones"),
    timers: device.timers(),
    random: device.random(),
    crypto: device.crypto(),
    // Zones of other servers, as of the last time that they were heard.
    kv: device.kv({ implementation: "kept" }),
    log: device.log(),
  },
});
