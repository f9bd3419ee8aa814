import { configuration, type NameServer } from "./name-server.ts";

/** unbound: one thread, answers for others' zones by what `extra` says of them; of its own it has `localhost.` */
export const unbound: NameServer = {
  name: "unbound",
  programs: ["unbound"],
  version: { program: "unbound", args: ["-V"] },
  configure(serving) {
    const { address, port, folder, extra } = serving;
    const file = configuration(
      serving,
      "unbound.conf",
      `server:
  interface: ${address}
  port: ${port}
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: "${folder}/unbound.pid"
  use-syslog: no
  logfile: ""
  verbosity: 1
  num-threads: 1
  access-control: 127.0.0.0/8 allow_snoop
  do-not-query-localhost: no
  do-ip6: no
  module-config: "validator iterator"
  root-hints: ""
  prefetch: no
${extra?.["unbound"] ?? ""}
remote-control:
  control-enable: no
`,
    );
    return { program: "unbound", args: ["-d", "-p", "-c", file] };
  },
};
