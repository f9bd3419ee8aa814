import { bare, configuration, type NameServer } from "./name-server.ts";

/** NSD: one server process, minimal answers, no rate limiting. */
export const nsd: NameServer = {
  name: "NSD",
  programs: ["nsd"],
  version: { program: "nsd", args: ["-v"] },
  configure(serving) {
    const { address, port, zones, folder, extra } = serving;
    const file = configuration(
      serving,
      "nsd.conf",
      `server:
  server-count: 1
  ip-address: ${address}
  port: ${port}
  username: ""
  database: ""
  zonesdir: "${folder}"
  xfrdfile: "${folder}/run/xfrd.state"
  xfrdir: "${folder}/run"
  zonelistfile: "${folder}/run/zone.list"
  pidfile: "${folder}/run/nsd.pid"
  minimal-responses: yes
  rrl-ratelimit: 0
  identity: "nameserver.example"
  nsid: "ascii_nameserver"
  verbosity: 0
  tcp-count: 200
remote-control:
  control-enable: no
${extra?.["NSD"] ?? ""}
${zones.map((zone) => `zone:\n  name: "${bare(zone.apex)}"\n  zonefile: "${zone.file}"\n  provide-xfr: ${address}/8 NOKEY\n`).join("")}`,
    );
    return { program: "nsd", args: ["-d", "-c", file] };
  },
};
