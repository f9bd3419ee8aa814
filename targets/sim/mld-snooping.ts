import { readInt32 } from "@tesserae/wire/field";
import type { SwitchPort } from "./switch.ts";

const ethernetHeader = 14;
/** The IPv6 header, and the hop-by-hop options with the router alert that reports carry (RFC 3810 §5). */
const reportAt = ethernetHeader + 40 + 8;
const reportType = 143;
/** "Exclude nobody" and "include nobody": joined and left. */
const excludes = [2, 4];
const includes = [1, 3];
/** 33:33:00:00:00:01 and …:02: every host is in the first, and none reports it; routers report that they are in the other. */
const allNodes = 1;
const allRouters = 2;
/** Groups known of a LAN, and members of one; what is sent to others is flooded. */
const mostGroups = 65_536;
const mostMembers = 4096;

const nobody: ReadonlySet<SwitchPort> = new Set();

/**
 * MLD snooping (RFC 4541 §3): what is sent to an IPv6 group goes to those who have said that they are in it. With it the
 * questions of Neighbour Discovery concern one host or two, and reports no host at all. A group that nobody has
 * reported is flooded.
 */
export class MldSnooping {
  /** By the last four bytes of the group's MAC address. */
  readonly #groups = new Map<number, Set<SwitchPort>>();

  /** To which ports a frame goes, or undefined: to all. Learns from it. */
  recipients(bytes: Uint8Array, offset: number, length: number, from: SwitchPort): ReadonlySet<SwitchPort> | undefined {
    if (bytes[offset] !== 0x33 || bytes[offset + 1] !== 0x33) return undefined;
    if (this.#learn(bytes, offset, length, from)) return nobody;
    const group = readInt32(bytes, offset + 2);
    const members = group === allNodes ? undefined : this.#groups.get(group);
    if (group === allRouters) return members ?? nobody;
    return members === undefined || members.size === 0 || members.size >= mostMembers ? undefined : members;
  }

  /** Whether the frame is a report. */
  #learn(bytes: Uint8Array, offset: number, length: number, from: SwitchPort): boolean {
    const at = offset + reportAt;
    const end = offset + length;
    if (at + 8 > end || bytes[offset + 12] !== 0x86 || bytes[offset + 13] !== 0xdd) return false;
    if (bytes[offset + 20] !== 0 || bytes[offset + 54] !== 58 || bytes[at] !== reportType) return false;
    let left = ((bytes[at + 6] ?? 0) << 8) | (bytes[at + 7] ?? 0);
    for (let record = at + 8; left > 0 && record + 20 <= end; left--) {
      const sources = ((bytes[record + 2] ?? 0) << 8) | (bytes[record + 3] ?? 0);
      const kind = bytes[record] ?? 0;
      const group = readInt32(bytes, record + 16);
      if (excludes.includes(kind) || (includes.includes(kind) && sources > 0)) this.#join(group, from);
      else if (includes.includes(kind)) this.#groups.get(group)?.delete(from);
      record += 20 + sources * 16 + (bytes[record + 1] ?? 0) * 4;
    }
    return true;
  }

  #join(group: number, port: SwitchPort): void {
    let members = this.#groups.get(group);
    if (members === undefined) {
      if (this.#groups.size >= mostGroups) return;
      members = new Set();
      this.#groups.set(group, members);
    }
    if (members.size < mostMembers) members.add(port);
  }
}
