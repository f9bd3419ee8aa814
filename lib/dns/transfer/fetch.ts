import type { Crypto } from "@tesserae/device/crypto";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import { withTimeout } from "@tesserae/time/sleep";
import { MessageStream } from "../message-stream.ts";
import { equalNames } from "../name-bytes.ts";
import type { Exchange } from "../recursive/upstream.ts";
import { type SignedRequest, signRequest } from "../tsig/tsig.ts";
import { parseWireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import type { WireRecord } from "../wire-record.ts";
import { messageFlag, recordType } from "../wire.ts";
import { rcodeText, type TransferBounds, type Transferred, TransferReader, typeAxfr, typeIxfr } from "./incoming.ts";
import { type Peer, portOf } from "./policy.ts";
import { readSoa } from "./soa.ts";

export interface FetchOptions {
  readonly tcp: Tcp;
  readonly exchange: Exchange;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly random: Random;
  /** Opens a connection to a peer with `tls`; without it such peers cannot be asked. */
  readonly connectTls?: (peer: Peer, signal: AbortSignal) => Promise<Flow>;
  readonly bounds?: TransferBounds;
  /** Milliseconds that a primary may be silent for. Default 30,000. */
  readonly silence?: number;
  /** Milliseconds for a whole transfer. Default 3,600,000. */
  readonly timeout?: number;
}

/** `isGone`: the primary cannot be reached, so that asking it in another way is of no use. */
export type Fetched =
  | Exclude<Transferred, { readonly kind: "failed" }>
  | { readonly kind: "failed"; readonly why: string; readonly isGone: boolean };

export type FetchedSerial =
  { readonly kind: "serial"; readonly serial: number } | { readonly kind: "failed"; readonly why: string };

const classIn = 1;
/** Tries over UDP, and milliseconds for the first; then TCP. */
const tries = 2;
const firstTimeout = 2000;

/** Asks primaries for serial numbers and zones. */
export class Fetch {
  readonly #options: FetchOptions;

  constructor(options: FetchOptions) {
    this.#options = options;
  }

  /** The serial number that a primary has. Over UDP, then TCP; over TLS alone where transfers go over that. */
  async serial(peer: Peer, apex: Uint8Array, signal: AbortSignal): Promise<FetchedSerial> {
    if (peer.tls !== undefined) {
      const message = await this.#overStream(peer, this.#query(peer, apex, recordType.SOA), signal);
      return serialIn(message, apex) ?? { kind: "failed", why: "the answer cannot be used" };
    }
    let result: FetchedSerial = { kind: "failed", why: "no answer" };
    for (let attempt = 0; attempt <= tries; attempt++) {
      const { id, signed, message } = this.#query(peer, apex, recordType.SOA);
      const seen = { truncated: false };
      const outcome = await this.#options.exchange({
        server: { address: peer.address, port: portOf(peer) },
        query: message,
        overTcp: attempt === tries,
        timeout: firstTimeout * 2 ** attempt,
        signal,
        accept: (bytes, offset, length) => {
          const plain = this.#verified(signed, bytes.slice(offset, offset + length));
          if (plain === undefined || ((plain[0] ?? 0) << 8) + (plain[1] ?? 0) !== id) return false;
          const found = serialIn(plain, apex);
          if (found === undefined) return false;
          seen.truncated = ((plain[2] ?? 0) & 2) !== 0;
          result = found;
          return true;
        },
      });
      if (outcome === "accepted" && seen.truncated) attempt = tries - 1;
      else if (outcome === "accepted" || signal.aborted) break;
    }
    return result;
  }

  /**
   * The zone, or what has changed since `have`, its SOA record that we have. Over TCP or TLS.
   */
  async zone(peer: Peer, apex: Uint8Array, have: WireRecord | undefined, signal: AbortSignal): Promise<Fetched> {
    const { timers, timeout = 3_600_000 } = this.#options;
    let isGone = true;
    try {
      return await withTimeout(
        timers,
        timeout,
        async (bounded) => {
          const flow = await this.#connect(peer, bounded);
          isGone = false;
          const abort = (): void => flow.abort();
          bounded.addEventListener("abort", abort, { once: true });
          try {
            return await this.#transfer(flow, peer, apex, have);
          } finally {
            bounded.removeEventListener("abort", abort);
            void flow.close();
          }
        },
        signal,
      );
    } catch (error) {
      return { kind: "failed", why: error instanceof Error ? error.message : String(error), isGone };
    }
  }

  async #transfer(flow: Flow, peer: Peer, apex: Uint8Array, have: WireRecord | undefined): Promise<Fetched> {
    const { timers, silence = 30_000, bounds } = this.#options;
    const { id, message, signed } = this.#query(peer, apex, have === undefined ? typeAxfr : typeIxfr, have);
    const reader = new TransferReader(id, apex, have === undefined ? undefined : readSoa(have).serial, bounds);
    const stream = new MessageStream(flow);
    await stream.write(message);
    for (;;) {
      const bytes = await withTimeout(timers, silence, () => stream.read());
      if (bytes === undefined) return gone("the primary ended before the last record");
      let plain = bytes;
      if (signed !== undefined) {
        const verified = signed.answers.verify(bytes, this.#seconds());
        if (verified.kind === "bad") return gone(verified.why);
        plain = verified.message.slice();
      }
      const parsed = parseWireMessage(plain);
      if (!parsed.ok) return gone(parsed.error.message);
      const result = reader.read(parsed.value);
      if (result === undefined) continue;
      if (result.kind === "failed") return gone(result.why);
      if (signed !== undefined && !signed.answers.settled) return gone("the last message is not signed");
      return result;
    }
  }

  async #overStream(
    peer: Peer,
    { id, message, signed }: ReturnType<Fetch["query"]>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { timers, silence = 30_000 } = this.#options;
    return withTimeout(
      timers,
      silence,
      async (bounded) => {
        const flow = await this.#connect(peer, bounded);
        try {
          const stream = new MessageStream(flow);
          await stream.write(message);
          const bytes = await stream.read();
          const plain = bytes === undefined ? undefined : this.#verified(signed, bytes);
          if (plain === undefined || ((plain[0] ?? 0) << 8) + (plain[1] ?? 0) !== id) throw new Error("no answer");
          return plain;
        } finally {
          void flow.close();
        }
      },
      signal,
    );
  }

  async #connect(peer: Peer, signal: AbortSignal): Promise<Flow> {
    const { tcp, connectTls } = this.#options;
    if (peer.tls === undefined) return tcp.connect({ address: peer.address, port: portOf(peer), signal });
    if (connectTls === undefined) throw new Error("there is no TLS here");
    return connectTls(peer, signal);
  }

  #verified(signed: SignedRequest | undefined, bytes: Uint8Array): Uint8Array | undefined {
    if (signed === undefined) return bytes;
    const verified = signed.answers.verify(bytes, this.#seconds());
    return verified.kind === "good" ? verified.message : undefined;
  }

  #seconds(): number {
    return Math.floor(this.#options.timers.wall() / 1000);
  }

  #query(peer: Peer, apex: Uint8Array, type: number, have?: WireRecord): ReturnType<Fetch["query"]> {
    return this.query(peer, apex, type, have);
  }

  /** A query for a zone, signed where the peer has a key. */
  query(
    peer: Peer,
    apex: Uint8Array,
    type: number,
    have?: WireRecord,
  ): { readonly id: number; readonly message: Uint8Array; readonly signed: SignedRequest | undefined } {
    const id = this.#options.random.uint32() & 0xffff;
    const room = new Uint8Array(1024);
    const writer = new WireMessageWriter(room);
    writer.question({ name: apex, type, class: classIn });
    // RFC 1995 §3: what we have.
    if (have !== undefined) writer.records("authorities", [have]);
    const plain = room.slice(0, writer.finish(id, 0, 0));
    const { key } = peer;
    const signed = key === undefined ? undefined : signRequest(this.#options.crypto, key, plain, this.#seconds());
    return { id, message: signed?.message ?? plain, signed };
  }
}

function gone(why: string): Fetched {
  return { kind: "failed", why, isGone: false };
}

/** What an answer says about a zone's serial number; `undefined` when it is no answer to that. */
function serialIn(bytes: Uint8Array, apex: Uint8Array): FetchedSerial | undefined {
  const parsed = parseWireMessage(bytes);
  if (!parsed.ok || (parsed.value.flags & messageFlag.response) === 0) return undefined;
  const { answers, flags, rcode } = parsed.value;
  if (rcode !== 0) return { kind: "failed", why: `the primary says ${rcodeText(rcode)}` };
  if ((flags & messageFlag.truncated) !== 0) return { kind: "failed", why: "the answer is truncated" };
  const soa = answers.find((each) => each.type === recordType.SOA && equalNames(each.owner, apex));
  if (soa === undefined) return { kind: "failed", why: "the primary does not have the zone" };
  if ((flags & messageFlag.authoritative) === 0) return { kind: "failed", why: "the primary has no authority" };
  return { kind: "serial", serial: readSoa(soa).serial };
}
