import { defineConfig, device, key } from "@tesserae/config/config";

export const config = defineConfig({
  name: "router",
  main: "./main.ts",
  scenario: "./sim.ts",
  keys: {
    address: key.interface4({ default: "dhcp", doc: "our address outside" }),
    network: key.prefix({ default: "192.168.77.1/24", doc: "our address inside, and the length of its network" }),
    address6: key.interface6({ default: "auto", doc: "our IPv6 address outside" }),
    network6: key.prefix({
      default: "fd77::1/64",
      doc: "our IPv6 address inside, and the network that hosts are told",
    }),
    first: key.integer({
      default: 100,
      min: 1,
      max: 65_534,
      doc: "first address to lease, counted from the network's",
    }),
    count: key.integer({ default: 100, min: 1, max: 65_534, doc: "how many addresses to lease" }),
    dns: key.string({ default: "9.9.9.9", doc: "name servers for the clients, with commas between them" }),
    forward: key.string({ default: "", doc: "ports to lead inside: tcp/8080=192.168.77.100:80, with commas between" }),
    reservations: key.string({ default: "", doc: "fixed leases: 02:00:00:00:00:07=192.168.77.7, with commas between" }),
  },
  // In this order: `--tap wan0,lan0`.
  devices: {
    outside: device.netif(),
    inside: device.netif(),
    leases: device.kv(),
    timers: device.timers(),
    random: device.random(),
    log: device.log(),
  },
});
