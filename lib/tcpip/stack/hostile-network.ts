import type { Timers } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";

const ethernetHeader = 14;
const ipHeader = 20;
const tcpStart = ethernetHeader + ipHeader;
const protocolTcp = 6;
const protocolIcmp = 1;
/** Frames of one direction that can be sent again. */
const remembered = 32;
/** Frames held back at a time; beyond, they are lost. */
const mostHeld = 256;
const patternFrames = 64;

/** The network's end of the cable to a host: its interface, and what came in. */
export interface CableEnd {
  readonly netif: Netif;
  /** Copies of the frames received since the last call. */
  take(): Uint8Array[];
}

/** What is to become of the next `frames` frames of a direction. */
export interface FramePlan {
  readonly kind: "delay" | "drop" | "duplicate" | "flip" | "truncate" | "mark";
  /** Milliseconds; for `flip` which bit, for `truncate` how many bytes are left, both modulo the frame's length. */
  readonly time: number;
  readonly frames: number;
}

/** Added to the number that comes next in a forged segment. */
const steps = [0, 1, -1, 2, 100, -100, 1460, -1460, 30_000, -30_000, 70_000, -70_000, 0x7fffffff, -0x7fffffff, 1000, 3];

/** One direction: from one of the two ends. */
class Direction {
  readonly plans: { plan: FramePlan; left: number }[] = [];
  readonly history: Uint8Array[] = [];
  /** Bit i: whether frame i of each sixteen is lost; for how many frames more. */
  pattern = 0;
  patternLeft = 0;
  patternAt = 0;
  /** Longer frames vanish, without a word. */
  longest = Infinity;
}

/**
 * A network between two interfaces that does to each frame what it is told: for tests of two stacks. Frames that are
 * not IPv4 pass.
 */
export class HostileNetwork {
  /** Whether anything was sent that neither end ever sent. */
  hasForged = false;
  readonly #peers: readonly [CableEnd, CableEnd];
  readonly #timers: Timers;
  readonly #directions = [new Direction(), new Direction()] as const;
  #held = 0;

  /** `peers[i]` is the network's end of the cable to host i. */
  constructor(peers: readonly [CableEnd, CableEnd], timers: Timers) {
    this.#peers = peers;
    this.#timers = timers;
  }

  /** Takes what the hosts have sent and does with it what is planned. @returns whether there was anything. */
  carry(): boolean {
    let any = false;
    for (const side of [0, 1] as const) {
      for (const frame of this.#peers[side].take()) {
        any = true;
        this.#pass(side, frame);
      }
    }
    return any;
  }

  /** `side`: which host's frames. */
  plan(side: number, plan: FramePlan): void {
    this.#direction(side).plans.push({ plan, left: plan.frames });
  }

  /** Of the next 64 frames, those are lost whose bit, of sixteen, is set. */
  pattern(side: number, bits: number): void {
    const direction = this.#direction(side);
    direction.pattern = bits & 0xffff;
    direction.patternLeft = patternFrames;
    direction.patternAt = 0;
  }

  /** Congestion: the next frames that may be marked are. */
  mark(side: number, frames: number): void {
    this.plan(side, { kind: "mark", time: 0, frames: frames & 15 });
  }

  /** Frames with a longer IP packet vanish: a black hole. */
  limit(side: number, bytes: number): void {
    this.#direction(side).longest = ethernetHeader + 296 + (bytes % 1204);
  }

  /** Sends a frame of the host's once more: the one before the last `back`. */
  replay(side: number, back: number): void {
    const { history } = this.#direction(side);
    const frame = history.at(-1 - (back % Math.max(1, history.length)));
    if (frame !== undefined) this.#deliver(side, frame);
  }

  /** Everything passes from now on; what is held still comes. */
  relent(): void {
    for (const direction of this.#directions) {
      direction.plans.length = 0;
      direction.patternLeft = 0;
      direction.longest = Infinity;
    }
  }

  /** Sends the other host a segment that looks like `side`'s, with right checksums and numbers that may be right. */
  forge(side: number, what: number, how: number): void {
    const template = this.#direction(side).history.findLast(isTcp);
    if (template === undefined) return;
    this.hasForged = true;
    const header = ((template[tcpStart + 12] ?? 0) >>> 4) * 4;
    const step = steps[how & 15] ?? 0;
    const size = (what & 7) === 3 ? 1 + (how >>> 4) * 90 : 0;
    const frame = new Uint8Array(tcpStart + header + size);
    frame.set(template.subarray(0, tcpStart + header));
    const view = new DataView(frame.buffer);
    const next = view.getUint32(tcpStart + 4) + (template.length - tcpStart - header);
    view.setUint32(tcpStart + 4, next + step);
    let flags = 0x10;
    switch (what & 7) {
      case 0:
        flags = (how & 16) === 0 ? 0x04 : 0x14;
        break;
      case 1:
        flags = (how & 16) === 0 ? 0x02 : 0x12;
        break;
      case 2:
        view.setUint32(tcpStart + 4, next);
        view.setUint32(tcpStart + 8, view.getUint32(tcpStart + 8) + step);
        break;
      case 4:
        flags = 0x11;
        break;
      case 5:
        view.setUint32(tcpStart + 4, next);
        view.setUint16(tcpStart + 14, how * 17);
        break;
      case 6:
        // Whatever the options were, their bytes are others now: stamps, blocks, lengths.
        view.setUint32(tcpStart + 4, next);
        for (let at = tcpStart + ipHeader; at < tcpStart + header; at++) frame[at] = (frame[at] ?? 0) + how * (at & 3);
        break;
      case 7:
        flags = how;
        break;
      default:
        break;
    }
    frame[tcpStart + 13] = flags;
    sign(frame);
    this.#deliver(side, frame);
  }

  /** Tells host `side` that its last packet was too big for the way. */
  tooBig(side: number, mtu: number): void {
    const { history } = this.#direction(side);
    const about = history.findLast(isTcp);
    if (about === undefined) return;
    const quoted = about.subarray(ethernetHeader, Math.min(about.length, ethernetHeader + 48));
    const frame = new Uint8Array(tcpStart + 8 + quoted.length);
    // Back to where it came from, as if from its destination.
    frame.set(about.subarray(6, 12), 0);
    frame.set(about.subarray(0, 6), 6);
    frame.set(about.subarray(12, tcpStart), 12);
    frame.set(about.subarray(ethernetHeader + 16, ethernetHeader + 20), ethernetHeader + 12);
    frame.set(about.subarray(ethernetHeader + 12, ethernetHeader + 16), ethernetHeader + 16);
    frame[ethernetHeader + 9] = protocolIcmp;
    frame[tcpStart] = 3;
    frame[tcpStart + 1] = 4;
    frame.set(quoted, tcpStart + 8);
    new DataView(frame.buffer).setUint16(tcpStart + 6, mtu);
    sign(frame);
    this.#deliver(1 - side, frame);
  }

  #direction(side: number): Direction {
    return side === 0 ? this.#directions[0] : this.#directions[1];
  }

  #pass(side: 0 | 1, frame: Uint8Array): void {
    const direction = this.#directions[side];
    if (!isIpv4(frame)) {
      this.#deliver(side, frame);
      return;
    }
    if (direction.history.length === remembered) direction.history.shift();
    direction.history.push(frame);
    if (frame.length > direction.longest) return;
    if (direction.patternLeft > 0) {
      direction.patternLeft--;
      const isLost = ((direction.pattern >>> (direction.patternAt++ & 15)) & 1) !== 0;
      if (isLost) return;
    }
    const [current] = direction.plans;
    if (current === undefined) {
      this.#deliver(side, frame);
      return;
    }
    if (--current.left <= 0) direction.plans.shift();
    this.#meddle(side, frame, current.plan);
  }

  #meddle(side: 0 | 1, frame: Uint8Array, plan: FramePlan): void {
    const changed = frame.slice();
    switch (plan.kind) {
      case "drop":
        return;
      case "delay":
        this.#later(side, frame, plan.time);
        return;
      case "duplicate":
        this.#deliver(side, frame);
        this.#later(side, frame, plan.time);
        return;
      case "flip": {
        const bit = plan.time % ((frame.length - ethernetHeader) * 8);
        const at = ethernetHeader + (bit >>> 3);
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
        this.#deliver(side, changed);
        return;
      }
      case "truncate":
        this.#deliver(side, frame.slice(0, ethernetHeader + (plan.time % (frame.length - ethernetHeader))));
        return;
      case "mark": {
        const ecn = (changed[ethernetHeader + 1] ?? 0) & 3;
        if (ecn !== 0) {
          changed[ethernetHeader + 1] = (changed[ethernetHeader + 1] ?? 0) | 3;
          signIp(changed);
        }
        this.#deliver(side, changed);
        return;
      }
    }
  }

  #later(side: 0 | 1, frame: Uint8Array, ms: number): void {
    if (this.#held >= mostHeld) return;
    this.#held++;
    const timer = this.#timers.timer(() => {
      this.#held--;
      this.#deliver(side, frame);
    });
    timer.set(this.#timers.now() + ms);
  }

  /** To the host that is not `side`. A network that has no room loses it. */
  #deliver(side: number, frame: Uint8Array): void {
    if (frame.length < ethernetHeader) return;
    const { netif } = this.#peers[side === 0 ? 1 : 0];
    const page = netif.allocate();
    if (page === undefined) return;
    const at = page.bytes.length - netif.mtu - ethernetHeader;
    if (frame.length > netif.mtu + ethernetHeader) {
      netif.release(page);
      return;
    }
    page.bytes.set(frame, at);
    netif.transmit(page, at, frame.length);
  }
}

function isIpv4(frame: Uint8Array): boolean {
  return frame.length >= tcpStart && frame[12] === 8 && frame[13] === 0 && frame[ethernetHeader] === 0x45;
}

/** Whether it is a whole segment: no fragment. */
function isTcp(frame: Uint8Array): boolean {
  const fragment = (((frame[ethernetHeader + 6] ?? 0) & 0x3f) << 8) | (frame[ethernetHeader + 7] ?? 0);
  return frame[ethernetHeader + 9] === protocolTcp && fragment === 0 && frame.length >= tcpStart + ipHeader;
}

/** Completes the checksum of the IP header. */
function signIp(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  view.setUint16(ethernetHeader + 10, 0);
  view.setUint16(ethernetHeader + 10, checksum(frame, ethernetHeader, ipHeader));
}

/** Completes the length and both checksums. */
function sign(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  view.setUint16(ethernetHeader + 2, frame.length - ethernetHeader);
  signIp(frame);
  const length = frame.length - tcpStart;
  const protocol = frame[ethernetHeader + 9] ?? 0;
  const at = tcpStart + (protocol === protocolTcp ? 16 : 2);
  const source = view.getInt32(ethernetHeader + 12);
  const pseudo =
    protocol === protocolTcp ? pseudoHeaderSum4(source, view.getInt32(ethernetHeader + 16), protocol, length) : 0;
  view.setUint16(at, 0);
  view.setUint16(at, checksum(frame, tcpStart, length, pseudo));
}
