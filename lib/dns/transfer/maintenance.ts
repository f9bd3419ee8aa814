import { formatEndpoint } from "@tesserae/device/address";
import type { Crypto } from "@tesserae/device/crypto";
import type { Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Extension, ExtensionRequest } from "../authoritative/extension.ts";
import type { Zone } from "../authoritative/zone.ts";
import type { Zones } from "../authoritative/zones.ts";
import { equalNames, nameToText } from "../name-bytes.ts";
import { TsigKeyring } from "../tsig/key.ts";
import { madeBySigner, type Signers } from "../signing/signers.ts";
import { type TsigSession, verifyRequest } from "../tsig/tsig.ts";
import { updateCode, updateZone } from "../update/update.ts";
import { parseWireMessage, type WireMessage } from "../wire-message.ts";
import { messageFlag, rcode, recordType } from "../wire.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { isAllowed } from "./access.ts";
import { soaOf } from "./difference.ts";
import { typeAxfr, typeIxfr } from "./incoming.ts";
import { differenceOf, type Journal } from "./journal.ts";
import { fullTransfer, incrementalTransfer, isWorthwhile, transferMessages } from "./outgoing.ts";
import { mayUpdate, type ZonePolicies } from "./policy.ts";
import type { Secondaries } from "./secondaries.ts";
import { isNewer } from "./serial.ts";
import { readSoa } from "./soa.ts";

export interface MaintenanceOptions {
  readonly zones: Zones;
  readonly policies: ZonePolicies;
  readonly journal: Journal;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly keys?: TsigKeyring;
  readonly secondaries?: Secondaries;
  /** Who keeps zones signed that are changed. */
  readonly signers?: Signers;
  readonly log?: Log;
  /** Transfers going out at once; more are refused. Default 100. */
  readonly transfers?: number;
  /** Waits until the zone's changes are kept: an update is answered after that. Default: nothing is waited for. */
  readonly kept?: (zone: Zone) => Promise<void>;
}

const classIn = 1;
const opcode = { query: 0, notify: 4, update: 5 } as const;
/** Where transfers of ordinary zones are split: what compression reaches. */
const usualMessage = 16_384;

/** What changes and copies zones over the network: transfers, NOTIFY and UPDATE; and what is signed with keys. */
export class Maintenance implements Extension {
  readonly #options: MaintenanceOptions;
  readonly #keys: TsigKeyring;
  #transfers = 0;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#keys = options.keys ?? new TsigKeyring();
  }

  handle(request: ExtensionRequest): Promise<void> | undefined {
    const { opcode: code, type, signed } = request;
    const isTransfer = code === opcode.query && (type === typeAxfr || type === typeIxfr);
    if (!signed && !isTransfer && code !== opcode.notify && code !== opcode.update) return undefined;
    return this.#handle(request);
  }

  async #handle(request: ExtensionRequest): Promise<void> {
    const { log, crypto } = this.#options;
    const verified = verifyRequest(crypto, this.#keys, request.message, this.#seconds());
    const from = formatEndpoint({ address: request.client, port: request.clientPort });
    if (verified.kind === "bad") {
      log?.warn("signed message refused", { from, why: verified.why });
      if (verified.response.length > 0) await request.respond(verified.response);
      return;
    }
    const reply = new Reply(request, verified.kind === "good" ? verified.session : undefined, () => this.#seconds());
    const isQuery = request.opcode === opcode.query;
    if (isQuery && request.type !== typeAxfr && request.type !== typeIxfr) {
      await reply.send(request.answer(verified.message, reply.limit));
      return;
    }
    const parsed = parseWireMessage(verified.message);
    const message = parsed.ok ? parsed.value : undefined;
    const [question, ...more] = message?.questions ?? [];
    if (message === undefined || question === undefined || more.length > 0) {
      await reply.send(header(verified.message, rcode.formatError));
      return;
    }
    const fields = { from, zone: nameToText(question.name), key: reply.keyName };
    const asked = new Asked(message, verified.message, question.name, reply, fields);
    if (question.class !== classIn) await asked.say(updateCode.notAuthoritative);
    else if (request.opcode === opcode.notify) await this.#notify(request, asked);
    else if (request.opcode === opcode.update) await this.#update(request, asked);
    else await this.#transfer(request, asked);
  }

  async #notify(request: ExtensionRequest, asked: Asked): Promise<void> {
    const { secondaries, zones } = this.#options;
    const soa = asked.message.answers.find(
      (each) => each.type === recordType.SOA && equalNames(each.owner, asked.apex),
    );
    const serial = soa === undefined ? undefined : readSoa(soa).serial;
    const key = asked.reply.session?.key;
    if (secondaries?.notified(asked.apex, request.client, key, serial) === true) return asked.say(rcode.noError);
    asked.log(this.#options.log, "news of a zone refused", {});
    return asked.say(zones.has(asked.apex) ? rcode.refused : updateCode.notAuthoritative);
  }

  async #update(request: ExtensionRequest, asked: Asked): Promise<void> {
    const { zones, policies, journal, secondaries, signers, log, kept } = this.#options;
    const [question] = asked.message.questions;
    if (question?.type !== recordType.SOA) return asked.say(rcode.formatError);
    const zone = zones.get(asked.apex);
    if (zone === undefined) {
      return asked.say(zones.has(asked.apex) ? rcode.serverFailure : updateCode.notAuthoritative);
    }
    const { update = [] } = policies.get(asked.apex);
    const key = asked.reply.session?.key;
    const signer = signers?.get(asked.apex);
    // Changes of a zone that others sign would leave its signatures wrong; those of a copy would be lost.
    const isForeign = signer === undefined && (zone.hasNsec || zone.nsec3 !== undefined);
    if (update.length === 0 || isForeign || secondaries?.has(asked.apex) === true) {
      asked.log(log, "update refused", { why: isForeign ? "others sign the zone" : "not permitted" });
      return asked.say(rcode.refused);
    }
    const outcome = updateZone(zone, asked.message, (owner, type) => {
      if (signer !== undefined && madeBySigner.has(type)) return false;
      return mayUpdate(update, request.client, key, owner, type);
    });
    if (outcome.kind === "refused") {
      asked.log(log, "update refused", { why: outcome.why });
      return asked.say(outcome.rcode);
    }
    const { changes } = outcome;
    if (changes.length > 0) {
      const after = signer?.change(changes) ?? journal.apply(zone, differenceOf(zone, changes), changes);
      asked.log(log, "zone updated", { serial: after.serial, changes: changes.length - 1 });
      await kept?.(after);
    }
    return asked.say(rcode.noError);
  }

  async #transfer(request: ExtensionRequest, asked: Asked): Promise<void> {
    const { zones, policies, log, transfers = 100 } = this.#options;
    const { reply, apex } = asked;
    const isUdp = request.transport === "udp";
    // RFC 5936 §4.2: AXFR over UDP is not defined.
    if (isUdp && request.type === typeAxfr) return asked.say(rcode.formatError);
    const zone = zones.get(apex);
    if (zone === undefined) {
      return asked.say(zones.has(apex) ? rcode.serverFailure : updateCode.notAuthoritative);
    }
    const { transfer = [] } = policies.get(apex);
    // A copy of a zone that is signed while it is served would have no signatures.
    if (
      zone.signer !== undefined ||
      !isAllowed(transfer, request.client, reply.session?.key) ||
      this.#transfers >= transfers
    ) {
      asked.log(log, "transfer refused", {});
      return asked.say(rcode.refused);
    }
    this.#transfers++;
    try {
      await this.#send(request, asked, zone, isUdp);
    } finally {
      this.#transfers--;
    }
  }

  async #send(request: ExtensionRequest, asked: Asked, zone: Zone, isUdp: boolean): Promise<void> {
    const { journal, log } = this.#options;
    const { reply, message } = asked;
    const [question] = message.questions;
    if (question === undefined) return;
    const ours = message.authorities.find((each) => each.type === recordType.SOA);
    let records = fullTransfer(zone);
    let how = "full";
    if (request.type === typeIxfr) {
      if (ours === undefined) return asked.say(rcode.formatError);
      const { serial } = readSoa(ours);
      const differences = journal.since(zone.apex, serial);
      if (!isNewer(zone.serial, serial)) {
        how = "current";
        records = soaAlone(zone);
      } else if (differences !== undefined && isWorthwhile(zone, differences)) {
        how = "differences";
        records = incrementalTransfer(zone, differences);
      }
    }
    const transfer = { id: message.id, question, limit: reply.limit, usual: usualMessage };
    if (isUdp) {
      // RFC 1995 §2: what does not fit is the SOA record alone, and is asked for again over TCP.
      const [first, second] = how === "full" ? [] : take(transferMessages(transfer, records));
      const fits = first !== undefined && second === undefined;
      const message = fits ? first : transferMessages(transfer, soaAlone(zone)).next().value;
      if (message !== undefined) await reply.send(message);
      return;
    }
    let sent = 0;
    const began = this.#options.timers.now();
    for (const each of transferMessages(transfer, records)) {
      sent += each.length;
      if (!(await reply.send(each))) return;
    }
    const ms = Math.round(this.#options.timers.now() - began);
    asked.log(log, "zone sent", { how, serial: zone.serial, bytes: sent, ms });
  }

  #seconds(): number {
    return Math.floor(this.#options.timers.wall() / 1000);
  }
}

function* soaAlone(zone: Zone): Generator<ReturnType<typeof soaOf>, undefined> {
  yield soaOf(zone);
  return undefined;
}

/** The first two, without making the rest. */
function take(messages: Iterator<Uint8Array, undefined>): [Uint8Array | undefined, Uint8Array | undefined] {
  return [messages.next().value, messages.next().value];
}

/** The way back to who asked: what is sent is signed where the request was. */
class Reply {
  readonly session: TsigSession | undefined;
  readonly #request: ExtensionRequest;
  readonly #seconds: () => number;

  constructor(request: ExtensionRequest, session: TsigSession | undefined, seconds: () => number) {
    this.#request = request;
    this.session = session;
    this.#seconds = seconds;
  }

  /** The longest message before it is signed, bytes. */
  get limit(): number {
    return this.#request.limit - (this.session?.overhead ?? 0);
  }

  get keyName(): string | undefined {
    return this.session === undefined ? undefined : nameToText(this.session.key.name);
  }

  async send(message: Uint8Array): Promise<boolean> {
    if (message.length === 0) return true;
    const { session } = this;
    return this.#request.respond(session === undefined ? message : session.sign(message, this.#seconds()));
  }
}

/** One message about a zone, and the reply to it. */
class Asked {
  readonly message: WireMessage;
  readonly apex: Uint8Array;
  readonly reply: Reply;
  readonly #bytes: Uint8Array;
  readonly #fields: Readonly<Record<string, string | undefined>>;

  constructor(
    message: WireMessage,
    bytes: Uint8Array,
    apex: Uint8Array,
    reply: Reply,
    fields: Readonly<Record<string, string | undefined>>,
  ) {
    this.message = message;
    this.apex = apex;
    this.reply = reply;
    this.#bytes = bytes;
    this.#fields = fields;
  }

  /** Replies with the question and a response code. */
  async say(code: number): Promise<void> {
    const room = new Uint8Array(1024);
    const writer = new WireMessageWriter(room, 512);
    const [question] = this.message.questions;
    if (question !== undefined) writer.question(question);
    const opcodeBits = (this.message.opcode & 15) << 11;
    const isOurs = this.message.opcode === opcode.notify && code === rcode.noError;
    const flags = messageFlag.response | opcodeBits | (isOurs ? messageFlag.authoritative : 0);
    const length = writer.finish(this.message.id, flags | (this.message.flags & messageFlag.recursionDesired), code);
    await this.reply.send(length > 0 ? room.slice(0, length) : header(this.#bytes, code));
  }

  log(log: Log | undefined, what: string, fields: Readonly<Record<string, string | number | undefined>>): void {
    log?.info(what, { ...this.#fields, ...fields });
  }
}

/** A response that is a header alone, for what cannot be read. */
function header(message: Uint8Array, code: number): Uint8Array {
  const response = new Uint8Array(12);
  response.set(message.subarray(0, 3));
  response[2] = ((response[2] ?? 0) & 0x79) | 0x80;
  response[3] = code;
  return response;
}
