import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { Prefix } from "@tesserae/device/address";
import { advertisement, bytesOf, describeFrame, LinkPeer, peer, prefixOption, sourceMac } from "../ipv6/link-peer.ts";
import { readOptions } from "./wire.ts";

/** One message: who says it, of which type, after how long, and its body. */
function chunk(source: number, type: number, wait: number, body: readonly number[]): number[] {
  return [source, type - 130, wait, body.length, ...body];
}

const sources = ["fe80::99", "fd00::2", "::", "fe80::a", "2001:db8::1", "fe80::ff:fe00:1", "fd00::1", "ff02::1"];
const target = [0, 0, 0, 0, ...bytesOf("fd00::1")];

/** Neighbour Discovery and MLD, valid but for what they say: the host keeps its bounds, its wits and its static address. */
export const fuzz: FuzzTarget = {
  name: "ndp",
  seeds: [
    chunk(1, 135, 0, [...target, ...sourceMac]),
    chunk(2, 135, 0, target),
    chunk(1, 136, 0, [0x60, 0, 0, 0, ...bytesOf("fd00::2"), 2, 1, 2, 0, 0, 0, 0, 2]),
    chunk(0, 134, 9, advertisement(60, [...sourceMac, ...prefixOption("fd05::/64", "LA", 60, 30)])),
    chunk(0, 134, 9, advertisement(60, [24, 2, 48, 8, 0, 0, 0, 60, ...bytesOf("fd06::").slice(0, 8)])),
    chunk(0, 134, 9, advertisement(60, [25, 3, 0, 0, 0, 0, 0, 60, ...bytesOf("fd00::53")])),
    chunk(0, 134, 9, advertisement(60, [31, 2, 0, 0, 0, 0, 0, 60, 1, 97, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 5, 0])),
    chunk(0, 137, 0, [0, 0, 0, 0, ...bytesOf("fe80::a"), ...bytesOf("2001:db8::1")]),
    chunk(0, 130, 2, [0, 100, 0, 0, ...bytesOf("::"), 2, 125, 0, 0]),
  ].map((bytes) => Uint8Array.from(bytes)),
  async run(input) {
    // By itself: any bytes are options or not.
    const alone = readOptions(input, 0, input.length);
    if (alone !== undefined && alone.prefixes.length + alone.routes.length > 32)
      throw new Error("options without bound");
    const link = new LinkPeer({ identifiers: "eui64", redirects: true });
    await link.on.add(Prefix.parse("fd00::1/64"));
    link.on.autoconfigure({ temporary: true });
    link.pass(1);
    for (let at = 0, count = 0; at + 4 <= input.length && count < 60; count++) {
      const source = sources[input[at]! % sources.length] ?? peer;
      const type = 130 + (input[at + 1]! % 14);
      const wait = input[at + 2]!;
      const length = Math.min(input[at + 3]!, input.length - at - 4);
      const body = input.slice(at + 4, at + 4 + length);
      at += 4 + length;
      const destination = (wait & 1) === 0 ? "ff02::1" : "fd00::1";
      link.icmp6(source, type === 135 && (wait & 2) === 0 ? "ff02::1:ff00:1" : destination, type, 0, body);
      link.pass(wait * wait);
      for (const frame of link.frames()) {
        const line = describeFrame(frame);
        if (/a bad|not IPv6|bad options/.test(line)) throw new Error(`sent: ${line}`);
      }
    }
    link.pass(10_000);
    if (link.errors.length > 0) throw new Error("a callback threw", { cause: link.errors[0] });
    if (!link.ip.addresses.some((each) => each.toString() === "fd00::1")) throw new Error("the static address went");
    if (link.on.linkMtu < 1280 || link.on.hopLimit < 32) throw new Error("cut off from the world");
    const { routes, book, neighbours, ndp } = link.on;
    if (routes.all.length > 8 + 16 + 16 + 32 + 8 || book.entries.length > 16 || neighbours.cache.size > 512) {
      throw new Error("a table has no bound");
    }
    if (ndp.told.nameServers.length > 8 || ndp.told.search.length > 8) throw new Error("name servers without bound");
    for (const domain of ndp.told.search) if (!/^[0-9a-z_.-]+$/.test(domain)) throw new Error(`the domain ${domain}`);
    link.ip.close();
    if (link.pagesOut !== 0) throw new Error(`${link.pagesOut} pages were lost`);
    if (link.timers.pending !== 0) throw new Error("a closed host holds a timer");
  },
};
