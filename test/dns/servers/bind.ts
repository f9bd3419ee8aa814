import { bare, configuration, type NameServer } from "./name-server.ts";

/** BIND: one thread, authoritative only, minimal answers, no rate limiting. */
export const bind: NameServer = {
  name: "BIND",
  programs: ["named"],
  version: { program: "named", args: ["-v"] },
  configure(serving) {
    const { address, port, zones, folder, extra } = serving;
    const file = configuration(
      serving,
      "named.conf",
      `options {
  directory "${folder}/run";
  pid-file "${folder}/run/named.pid";
  session-keyfile "${folder}/run/session.key";
  listen-on port ${port} { ${address}; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  minimal-responses yes;
  notify no;
  allow-transfer { any; };
  server-id "nameserver";
  check-names primary ignore;
  tcp-clients 200;
  ${extra?.["BIND options"] ?? ""}
};
controls { };
logging { category default { null; }; category general { default_stderr; }; };
${extra?.["BIND"] ?? ""}
${zones.map((zone) => `zone "${bare(zone.apex)}" { type primary; file "${zone.file}"; check-integrity no; };\n`).join("")}`,
    );
    return { program: "named", args: ["-f", "-4", "-n", "1", "-c", file] };
  },
};
