import { secret } from "./our-server.ts";

const configurations = {
  NSD: (port: number) => `key:
  name: "shared.test"
  algorithm: hmac-sha256
  secret: "${secret}"
zone:
  name: "example.test"
  zonefile: "example.test.copy"
  request-xfr: 127.0.0.1@${port} shared.test
  allow-notify: 127.0.0.1 NOKEY
  allow-notify: 127.0.0.1 shared.test
  provide-xfr: 127.0.0.1 NOKEY
`,
  Knot: (port: number) => `key:
  - id: shared.test
    algorithm: hmac-sha256
    secret: ${secret}
remote:
  - id: ours
    address: 127.0.0.1@${port}
    key: shared.test
acl:
  - id: news
    address: 127.0.0.1
    key: shared.test
    action: notify
  - id: copies
    address: 127.0.0.1
    action: transfer
zone:
  - domain: example.test
    master: ours
    acl: [news, copies]
`,
  BIND: (port: number) => `key "shared.test" { algorithm hmac-sha256; secret "${secret}"; };
server 127.0.0.1 { keys { shared.test; }; };
zone "example.test" { type secondary; primaries port ${port} { 127.0.0.1 key shared.test; }; masterfile-format text; file "copy"; allow-notify { any; }; allow-transfer { any; }; };
`,
};

/** What makes a server a secondary of ours for `example.test`: it is told of changes, and gives copies to this host. */
export function secondaryOfOurs(server: string, port: number): string {
  // as: the names of the servers are the keys.
  return configurations[server as keyof typeof configurations](port);
}
