import { bare, configuration, type NameServer, type Serving } from "./name-server.ts";

/** Knot DNS: one UDP worker, no rate limiting; through AF_XDP when an interface is given. */
export const knot: NameServer = {
  name: "Knot",
  programs: ["knotd"],
  version: { program: "knotd", args: ["--version"] },
  configure(serving) {
    const { zones, folder, extra } = serving;
    const file = configuration(
      serving,
      "knot.conf",
      `server:
  rundir: "${folder}/run"
${listening(serving)}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  tcp-max-clients: 200
  identity: "nameserver.example"
  nsid: "nameserver"
${serving.xdp === undefined ? "" : `xdp:\n  listen: ${serving.xdp}@${serving.port}\n`}
database:
  storage: "${folder}/run"
log:
  - target: stderr
    any: warning
acl:
  - id: transfers
    action: transfer
${extra?.["Knot"] ?? ""}
template:
  - id: default
    storage: "${folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
    acl: [transfers]
zone:
${zones.map((zone) => `  - domain: "${bare(zone.apex)}"\n    file: "${zone.file}"\n`).join("")}`,
    );
    return { program: "knotd", args: ["-c", file] };
  },
};

function listening({ address, port, xdp }: Serving): string {
  // With AF_XDP, Knot serves TCP over the sockets still.
  return xdp === undefined ? `  listen: ${address}@${port}` : `  listen: ${address}@${port}\n  udp-max-payload: 1232`;
}
