// Who is measured, on which link, and how the generator reaches it.
import { bind } from "../../test/dns/servers/bind.ts";
import { knot } from "../../test/dns/servers/knot.ts";
import type { NameServer } from "../../test/dns/servers/name-server.ts";
import { ours } from "../../test/dns/servers/ours.ts";
import { nsd } from "../../test/dns/servers/nsd.ts";
import { restoreConstants } from "../../tool/cli/top-level-constants.ts";
import type { PlaceOptions } from "./place.ts";

export interface DnsContender extends PlaceOptions {
  readonly name: string;
  readonly server: NameServer;
  /** What the generator sends and receives with: the kernel's sockets, or frames through AF_XDP. */
  readonly generator: "sockets" | "xdp";
  /** Why it cannot run here, in words. */
  readonly lack?: () => string | undefined;
}

export const contenders: readonly DnsContender[] = [
  { name: "NSD", server: nsd, link: "veth", generator: "xdp" },
  { name: "Knot", server: knot, link: "veth", generator: "xdp" },
  { name: "Knot XDP", server: knot, link: "veth", xdp: true, generator: "xdp" },
  { name: "BIND", server: bind, link: "veth", generator: "xdp" },
  { name: "ours node", server: ours("sockets", { finish: restoreConstants }), link: "veth", generator: "xdp" },
  { name: "ours tap", server: ours("tap", { finish: restoreConstants }), link: "tap", generator: "sockets" },
  { name: "ours XDP", server: ours("xdp", { finish: restoreConstants }), link: "veth", xdp: true, generator: "xdp" },
  {
    name: "echo node",
    server: ours("sockets", { echo: true, finish: restoreConstants }),
    link: "veth",
    generator: "xdp",
  },
  {
    name: "echo tap",
    server: ours("tap", { echo: true, finish: restoreConstants }),
    link: "tap",
    generator: "sockets",
  },
  {
    name: "echo XDP",
    server: ours("xdp", { echo: true, finish: restoreConstants }),
    link: "veth",
    xdp: true,
    generator: "xdp",
  },
];
