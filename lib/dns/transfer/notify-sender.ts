import { formatEndpoint } from "@tesserae/device/address";
import type { Crypto } from "@tesserae/device/crypto";
import type { Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import type { Zone } from "../authoritative/zone.ts";
import type { Zones } from "../authoritative/zones.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import type { Exchange } from "../recursive/upstream.ts";
import { parseWireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { messageFlag, recordType } from "../wire.ts";
import { signRequest } from "../tsig/tsig.ts";
import { soaOf } from "./difference.ts";
import { type Peer, portOf, type ZonePolicies } from "./policy.ts";

const opcodeNotify = 4;
/** RFC 1996 §3.6: how often, and how long the first waits, milliseconds; each later one twice as long. */
const attempts = 5;
const firstTimeout = 2000;

export interface NotifySenderOptions {
  readonly zones: Zones;
  readonly policies: ZonePolicies;
  readonly exchange: Exchange;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  /** Peers told at once; more wait. Default 64. */
  readonly parallel?: number;
}

/** Tells those who have copies of a zone that it has changed (RFC 1996), once for each version at most. */
export class NotifySender {
  readonly #options: NotifySenderOptions;
  readonly #unwatch: () => void;
  readonly #abort = new AbortController();
  /** Zone and peer → what to tell, in the order in which it came up. What changes again before it is told is told once. */
  readonly #waiting = new Map<string, { readonly zone: Zone; readonly peer: Peer }>();
  readonly #busy = new Set<string>();

  constructor(options: NotifySenderOptions) {
    this.#options = options;
    this.#unwatch = options.zones.onChange((before, after) => {
      if (after !== undefined && before?.serial !== after.serial) this.notify(after);
    });
  }

  /** Tells all peers of a zone. */
  notify(zone: Zone): void {
    for (const peer of this.#options.policies.get(zone.apex).notify ?? []) {
      const endpoint = formatEndpoint({ address: peer.address, port: peerPort(peer) });
      this.#waiting.set(`${nameToText(lowerName(zone.apex))} ${endpoint}`, { zone, peer });
    }
    this.#next();
  }

  close(): void {
    this.#unwatch();
    this.#waiting.clear();
    this.#abort.abort();
  }

  #next(): void {
    for (const [id, { zone, peer }] of this.#waiting) {
      if (this.#busy.size >= (this.#options.parallel ?? 64)) return;
      if (this.#busy.has(id)) continue;
      this.#waiting.delete(id);
      this.#busy.add(id);
      void this.#tell(zone, peer).finally(() => {
        this.#busy.delete(id);
        this.#next();
      });
    }
  }

  async #tell(zone: Zone, peer: Peer): Promise<void> {
    const { exchange, crypto, timers, random, log } = this.#options;
    const to = formatEndpoint({ address: peer.address, port: peerPort(peer) });
    const fields = { zone: nameToText(zone.apex), serial: zone.serial, to };
    for (let attempt = 0; attempt < attempts && !this.#abort.signal.aborted; attempt++) {
      const id = random.uint32() & 0xffff;
      const plain = notifyMessage(id, zone);
      const seconds = Math.floor(timers.wall() / 1000);
      const signed = peer.key === undefined ? undefined : signRequest(crypto, peer.key, plain, seconds);
      let rcode = -1;
      const outcome = await exchange({
        server: { address: peer.address, port: peerPort(peer) },
        query: signed?.message ?? plain,
        overTcp: false,
        timeout: firstTimeout * 2 ** attempt,
        signal: this.#abort.signal,
        accept(bytes, offset, length) {
          let message = bytes.slice(offset, offset + length);
          if (signed !== undefined) {
            const verified = signed.answers.verify(message, Math.floor(timers.wall() / 1000));
            if (verified.kind === "bad") return false;
            message = verified.message.slice();
          }
          const parsed = parseWireMessage(message);
          if (!parsed.ok || parsed.value.id !== id || parsed.value.opcode !== opcodeNotify) return false;
          if ((parsed.value.flags & messageFlag.response) === 0) return false;
          rcode = parsed.value.rcode;
          return true;
        },
      });
      if (outcome !== "accepted") continue;
      if (rcode === 0) log?.debug("told of a change", fields);
      else log?.warn("refuses to be told of a change", { ...fields, rcode });
      return;
    }
    if (!this.#abort.signal.aborted) log?.warn("does not answer when told of a change", fields);
  }
}

/** NOTIFY goes over UDP, whatever transfers go over. */
function peerPort(peer: Peer): number {
  return peer.tls === undefined ? portOf(peer) : 53;
}

function notifyMessage(id: number, zone: Zone): Uint8Array {
  const room = new Uint8Array(1024);
  const writer = new WireMessageWriter(room);
  writer.question({ name: zone.apex, type: recordType.SOA, class: 1 });
  writer.records("answers", [soaOf(zone)]);
  return room.slice(0, writer.finish(id, (opcodeNotify << 11) | messageFlag.authoritative, 0));
}
