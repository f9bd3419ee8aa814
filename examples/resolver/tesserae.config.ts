import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "resolver",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    port: key.port({ default: 53, doc: "UDP and TCP port to answer on" }),
    upstreamPort: key.port({ default: 53, doc: "the port of the servers that are asked" }),
    allow: key.string({ default: "", doc: "who is served: 192.0.2.0/24, 2001:db8::/32; none: private networks" }),
    roots: key.string({ default: "", doc: "the root's servers: ns.root=192.0.2.1; none: those of the internet" }),
    anchors: key.string({ default: "", doc: "trust anchors as DS records with ; between; none: the root's; off" }),
    follow: key.boolean({
      default: true,
      doc: "let trust anchors follow their zones' keys (RFC 5011), over --keep FOLDER",
    }),
    forward: key.string({ default: "", doc: "zones that others resolve: .=9.9.9.9+1.1.1.1, corp.example=10.0.0.53" }),
    stub: key.string({ default: "", doc: "zones with their servers, as for --forward" }),
    insecure: key.string({ default: "", doc: "zones below which nothing is validated, with commas between" }),
    families: key.choice(["4", "6", "both"], {
      default: "4",
      doc: "which servers can be reached: by IPv4, IPv6, both",
    }),
    cache: key.bytes({ default: "32MiB", min: 65_536, doc: "memory for what was learnt" }),
    loopback: key.boolean({ default: false, doc: "ask servers at loopback addresses too, for tests" }),
  },
  devices: {
    stack: device.stack(),
    timers: device.timers(),
    random: device.random(),
    crypto: device.crypto(),
    kv: device.kv({ implementation: "kept" }),
    log: device.log(),
  },
});
