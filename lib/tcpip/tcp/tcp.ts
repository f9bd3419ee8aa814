import { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type Flow, FlowError } from "@tesserae/device/flow";
import { type Ip, type IpError, type IpPacket, protocolTcp } from "@tesserae/device/ip";
import type { Log } from "@tesserae/device/log";
import { checksumVerified, needsChecksum } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import type { Tcp, TcpListener } from "@tesserae/device/tcp";
import { checksum } from "@tesserae/wire/checksum";
import { readInt32 } from "@tesserae/wire/field";
import { TableSizes, TcpAudit } from "./audit.ts";
import { ephemeralPort, everyPort, type PortShare } from "../ports/ephemeral.ts";
import { BufferPool } from "./buffer-pool.ts";
import { ResponseLimiter } from "./challenge-ack.ts";
import { Connection } from "./connection.ts";
import { defaultLimits, type TcpContext, type TcpLimits } from "./context.ts";
import { Demux, EndpointPair } from "./demux.ts";
import { congestionNames } from "./congestion-choice.ts";
import { ecnModes, notCapable } from "./ecn.ts";
import { FastOpenCookies, FastOpenPeers, FastOpenPlaces } from "./fast-open.ts";
import { HalfOpen } from "./half-open.ts";
import { InitialNumbers } from "./isn.ts";
import { ListenerTable, TcpListenerState } from "./listener.ts";
import { NarrowPaths } from "./narrow-paths.ts";
import { checkChoice, connectionOptions, type OwnConnectOptions, type OwnListenOptions } from "./options.ts";
import { isNewIncarnation, PassiveOpen } from "./passive-open.ts";
import { SackReader } from "./sack.ts";
import { Segment } from "./segment.ts";
import { SegmentRecordPool } from "./segment-records.ts";
import { add } from "./sequence.ts";
import { type ConnectionStatistics, Counters, type TcpStatistics } from "./statistics.ts";
import { TimeWait, TimeWaitTable } from "./time-wait.ts";
import { pseudoHeaderSum, Transmitter } from "./transmitter.ts";
import { flagAck, flagFin, flagRst, flagSyn, headerSize } from "./wire.ts";

/** What waits for it runs in a microtask. `queueMicrotask` does the same, but makes several objects in Node. */
const settled = Promise.resolve();
/** Memory of closed connections' buffers that is kept for the next ones, bytes. */
const keptBuffers = 8_388_608;

export interface TcpNeeds extends Partial<TcpLimits> {
  /** Must not deliver a packet from inside `send`. */
  readonly ip: Ip;
  readonly timers: Timers;
  readonly random: Random;
  /** The local ports of connections that are opened here. Default: all of the ephemeral ones. */
  readonly ports?: PortShare;
  readonly log?: Log;
  /** Gets what an `accept` callback threw. Default: the log. */
  readonly report?: (error: unknown) => void;
}

/** Our TCP: the signature, and a view inside. */
export interface TcpHost extends Tcp {
  /** As {@link Tcp.connect}, with what only our own TCP has to choose. */
  connect(options: OwnConnectOptions): Promise<Flow>;
  /** As {@link Tcp.listen}, with what only our own TCP has to choose. */
  listen(options: OwnListenOptions, accept: (flow: Flow) => void | Promise<void>): Promise<TcpListener>;
  /** As `listen`, at once. @throws FlowError; RangeError for a bad port. */
  open(options: OwnListenOptions, accept: (flow: Flow) => void | Promise<void>): TcpListener;
  /** Whether a listener has the port. */
  usesPort(port: number): boolean;
  /** The counters at this moment. */
  readonly statistics: TcpStatistics;
  /** Every connection, as `ss -ti` shows them. */
  connections(): ConnectionStatistics[];
  /**
   * Looks at the next `count` connections and at the tables, for simulations and tests: between two events, when all
   * that was due is done.
   *
   * @returns the first thing found that must never be.
   */
  audit(count: number): string | undefined;
  /**
   * Sends what the segments received so far call for: ACKs, data. It happens by itself in a microtask; a target that
   * knows where a batch of frames ends may call it there.
   */
  flush(): void;
  /** Aborts every flow, closes every listener, and forgets what is in TIME-WAIT. Idempotent. */
  close(): Promise<void>;
}

/**
 * TCP (RFC 9293) over an {@link Ip}.
 *
 * @throws RangeError when a limit is out of range.
 */
export function createTcp(needs: TcpNeeds): TcpHost {
  return new OwnTcp(needs);
}

class OwnTcp implements TcpHost, TcpContext {
  readonly ip: Ip;
  readonly timers: Timers;
  readonly counters: Counters = new Counters();
  readonly limits: TcpLimits;
  readonly pool: BufferPool;
  readonly segmentRecords: SegmentRecordPool = new SegmentRecordPool();
  readonly sackReader: SackReader = new SackReader();
  readonly numbers: InitialNumbers;
  readonly responses: ResponseLimiter;
  readonly transmitter: Transmitter;
  readonly narrowPaths: NarrowPaths = new NarrowPaths();
  readonly fastOpenCookies: FastOpenCookies;
  readonly fastOpenPeers: FastOpenPeers = new FastOpenPeers();
  readonly #random: Random;
  readonly #share: PortShare;
  readonly #report: (error: unknown) => void;
  readonly #demux: Demux;
  readonly #listeners = new ListenerTable();
  readonly #passive: PassiveOpen;
  readonly #timeWait: TimeWaitTable;
  readonly #segment = new Segment();
  /** Connections to flush, and the list that is being flushed. */
  #pending: Connection[] = [];
  #flushing: Connection[] = [];
  #isFlushDue = false;
  readonly #flushLater: () => void;
  #isClosed = false;
  #audit: TcpAudit | undefined = undefined;
  readonly #sizes = new TableSizes();

  constructor(needs: TcpNeeds) {
    this.ip = needs.ip;
    this.timers = needs.timers;
    this.limits = checkLimits(needs);
    this.pool = new BufferPool(Math.min(keptBuffers, this.limits.memory / 4), this.limits.memory);
    this.#random = needs.random;
    this.#share = needs.ports ?? everyPort;
    const { log } = needs;
    this.#report =
      needs.report ??
      ((error) => {
        log?.error("accept failed", { error: String(error) });
      });
    this.numbers = new InitialNumbers(needs.random);
    this.fastOpenCookies = new FastOpenCookies(this.numbers);
    this.responses = new ResponseLimiter(needs.random);
    this.transmitter = new Transmitter(needs.ip, this.counters, IpAddress.any4);
    this.#demux = new Demux(needs.random, this.limits.maxConnections);
    this.#passive = new PassiveOpen(this, this.#demux);
    const { maxTimeWait, timeWait } = this.limits;
    this.#timeWait = new TimeWaitTable(maxTimeWait, timeWait, this.timers, this.#demux, this.counters);
    this.#flushLater = () => {
      this.#isFlushDue = false;
      this.flush();
    };
    needs.ip.listen(protocolTcp, (packet) => {
      this.#receive(packet);
    });
    needs.ip.listenErrors(protocolTcp, (error) => {
      this.#pathError(error);
    });
  }

  // ---- the signature

  async connect(options: OwnConnectOptions): Promise<Flow> {
    const { address, port, signal } = options;
    checkPort("port", port, 1);
    if (options.timeout !== undefined && !(options.timeout > 0)) {
      throw new RangeError(`timeout ${String(options.timeout)} is not above 0`);
    }
    const choices = connectionOptions(options, this.limits);
    if (signal?.aborted === true) throw new FlowError("aborted", "connecting was aborted");
    if (this.#isClosed) throw new FlowError("closed", "TCP is closed");
    const isHost = !address.isMulticast && !address.isUnspecified;
    const local = isHost ? this.ip.source(address, options.interface ?? 0) : undefined;
    if (local === undefined) throw new FlowError("unreachable", `no route to ${address.toString()}`);
    const localPort = this.#freePort(local, address, port);
    const now = this.timers.now();
    const iss = this.numbers.sequence(local, localPort, address, port, now);
    const connection = new Connection(this, local, localPort, address, port, iss, choices);
    if (!this.#makeRoom() || !this.#demux.insert(connection)) {
      this.counters.connectionOverflows++;
      throw new FlowError("exhausted", "there are as many connections as allowed");
    }
    this.counters.activeOpens++;
    const abort = (): void => {
      connection.giveUp("aborted", "connecting was aborted");
    };
    try {
      return await new Promise<Flow>((resolve, reject) => {
        connection.waiting = { resolve, reject };
        signal?.addEventListener("abort", abort, { once: true });
        connection.open(now + (options.timeout ?? this.limits.connectTimeout), options.fastOpen);
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a promise that rejects instead of throwing
  async listen(options: OwnListenOptions, accept: (flow: Flow) => void | Promise<void>): Promise<TcpListener> {
    return this.open(options, accept);
  }

  open(options: OwnListenOptions, accept: (flow: Flow) => void | Promise<void>): TcpListener {
    checkPort("port", options.port, 0);
    const backlog = options.backlog ?? 511;
    if (!Number.isInteger(backlog) || backlog < 1 || backlog > 65_535) {
      throw new RangeError(`backlog ${String(backlog)} is not an integer from 1 to 65535`);
    }
    const { fastOpen = 0 } = options;
    if (!Number.isInteger(fastOpen) || fastOpen < 0 || fastOpen > 65_535) {
      throw new RangeError(`fastOpen ${String(fastOpen)} is not an integer from 0 to 65535`);
    }
    const choices = connectionOptions(options, this.limits);
    if (this.#isClosed) throw new FlowError("closed", "TCP is closed");
    const address = options.address === undefined || options.address.isUnspecified ? undefined : options.address;
    if (address !== undefined && !this.ip.isLocal(address)) {
      throw new FlowError("address-not-available", `${address.toString()} is not an address of ours`);
    }
    const port = options.port === 0 ? this.#freeListenPort(address) : options.port;
    if (this.#listeners.clashes(port, address)) {
      throw new FlowError("address-in-use", `port ${String(port)} is taken`);
    }
    const places = fastOpen === 0 ? null : new FastOpenPlaces(fastOpen);
    const listener = new TcpListenerState(port, address, backlog, choices, accept, this.counters, places);
    this.#listeners.add(listener);
    return {
      local: { address: address ?? options.address ?? IpAddress.any4, port },
      close: () => {
        this.#closeListener(listener);
        return Promise.resolve();
      },
    };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const listener of this.#listeners.all()) this.#closeListener(listener);
    for (const entry of this.#demux.entries()) if (entry instanceof Connection) entry.abort();
    this.#timeWait.clear();
    return Promise.resolve();
  }

  usesPort(port: number): boolean {
    return this.#listeners.uses(port);
  }

  get statistics(): TcpStatistics {
    const halfOpen = this.#passive.halfOpen.size;
    const timeWait = this.#timeWait.size;
    const connections = this.#demux.size - halfOpen - timeWait;
    return { ...this.counters.snapshot(), connections, halfOpen, timeWait, bufferBytes: this.pool.used };
  }

  connections(): ConnectionStatistics[] {
    const all: ConnectionStatistics[] = [];
    for (const entry of this.#demux.entries()) if (entry instanceof Connection) all.push(entry.statistics());
    return all;
  }

  audit(count: number): string | undefined {
    if (this.#pending.length > 0) return "a connection was not flushed";
    this.#audit ??= new TcpAudit(this.#demux);
    const sizes = this.#sizes;
    sizes.all = this.#demux.size;
    sizes.halfOpen = this.#passive.halfOpen.size;
    sizes.timeWait = this.#timeWait.size;
    sizes.bufferBytes = this.pool.used;
    return this.#audit.look(count, this.limits, sizes);
  }

  // ---- what a connection asks for

  schedule(connection: Connection): void {
    if (connection.scheduled) return;
    connection.scheduled = true;
    this.#pending.push(connection);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    void settled.then(this.#flushLater);
  }

  flush(): void {
    const list = this.#pending;
    if (list.length === 0) return;
    this.#pending = this.#flushing;
    this.#flushing = list;
    for (const connection of list) connection.flush();
    list.length = 0;
  }

  established(connection: Connection): void {
    const { waiting, listener } = connection;
    connection.waiting = null;
    if (waiting !== null) waiting.resolve(connection.flow);
    else if (listener !== null) this.#accept(listener, connection.flow);
  }

  forget(connection: Connection): void {
    this.#demux.remove(connection);
    const { waiting } = connection;
    connection.waiting = null;
    waiting?.reject(connection.flow.error ?? new FlowError("reset", "the connection ended"));
  }

  enterTimeWait(connection: Connection): void {
    this.#timeWait.insert(connection);
  }

  #accept(listener: TcpListenerState, flow: Flow): void {
    const failed = (error: unknown): void => {
      flow.abort();
      this.#report(error);
    };
    try {
      const result = listener.accept(flow);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #closeListener(listener: TcpListenerState): void {
    if (this.#listeners.remove(listener)) this.#passive.close(listener);
  }

  /** Makes room for one more connection, at the cost of the oldest in TIME-WAIT. */
  #makeRoom(): boolean {
    return !this.#demux.isFull || this.#timeWait.evict();
  }

  // ---- ports

  /** RFC 6056 §3.3.1: a random start, then the next that is free for this peer. */
  #freePort(local: IpAddress, remote: IpAddress, remotePort: number): number {
    const isTaken = (port: number): boolean =>
      this.#listeners.uses(port) || this.#demux.find(local, port, remote, remotePort) !== null;
    const port = ephemeralPort(this.#random, isTaken, this.#share);
    if (port === 0) throw new FlowError("exhausted", `no local port is free for ${remote.toString()}`);
    return port;
  }

  #freeListenPort(address: IpAddress | undefined): number {
    const port = ephemeralPort(this.#random, (each) => this.#listeners.clashes(each, address), this.#share);
    if (port === 0) throw new FlowError("address-in-use", "no port is free");
    return port;
  }

  // ---- what the network brings

  #receive(packet: IpPacket): void {
    this.counters.segmentsReceived++;
    const { page, offset, length, source, destination } = packet;
    // A checksum left to the device is the sender's word on this machine: the bytes have not been on a wire.
    if ((page.flags & (checksumVerified | needsChecksum)) === 0 && length >= headerSize) {
      if (checksum(page.bytes, offset, length, pseudoHeaderSum(source, destination, length)) !== 0) {
        this.counters.badChecksums++;
        return;
      }
    }
    const segment = this.#segment;
    segment.time = this.timers.now();
    if (!segment.read(page.bytes, offset, length)) {
      this.counters.malformed++;
      return;
    }
    segment.ecn = packet.ecn;
    const entry = this.#demux.find(destination, segment.destinationPort, source, segment.sourcePort);
    if (entry instanceof Connection) entry.receive(segment);
    else if (entry instanceof HalfOpen) this.#passive.handshake(entry, segment);
    else if (entry instanceof TimeWait) this.#receiveInTimeWait(entry, segment);
    else this.#receiveForNone(segment, destination, source);
  }

  /** RFC 9293 §3.10.7.1 and §3.10.7.2: no connection; perhaps a listener. */
  #receiveForNone(segment: Segment, local: IpAddress, remote: IpAddress): void {
    const { flags } = segment;
    if ((flags & flagRst) !== 0 || this.#isClosed) return;
    // Never to, from or about many (RFC 1122 §4.2.3.10), and port 0 is nobody's.
    if (remote.isMulticast || remote.isUnspecified || remote.equals(IpAddress.broadcast4)) return;
    if (segment.sourcePort === 0 || segment.destinationPort === 0 || !this.ip.isLocal(local)) return;
    const listener = this.#listeners.find(local, segment.destinationPort);
    if (listener !== undefined) {
      if ((flags & flagAck) === 0) {
        if ((flags & flagSyn) === 0 || (flags & flagFin) !== 0) return;
        this.#makeRoom();
        this.#passive.syn(listener, segment, local, remote);
        return;
      }
      if ((flags & flagSyn) === 0 && this.#passive.cookie(listener, segment, local, remote)) return;
    }
    if (!this.responses.take(segment.time)) return;
    const pair = new EndpointPair(local, segment.destinationPort, remote, segment.sourcePort);
    if ((flags & flagAck) !== 0) this.transmitter.reset(pair, 0, segment.acknowledgement, 0);
    else this.transmitter.reset(pair, flagAck, 0, add(segment.sequence, segment.span));
  }

  #receiveInTimeWait(entry: TimeWait, segment: Segment): void {
    const { flags, options } = segment;
    // RFC 1337: a reset must not end TIME-WAIT.
    if ((flags & flagRst) !== 0) return;
    if ((flags & (flagSyn | flagAck | flagFin)) === flagSyn) {
      const listener = this.#listeners.find(entry.local, entry.localPort);
      const { receiveNext, timestamps, recentTimestamp } = entry;
      const isNew = isNewIncarnation(segment, receiveNext, timestamps, recentTimestamp, this.limits.timestamps);
      if (listener !== undefined && isNew) {
        this.#timeWait.remove(entry);
        // Beyond whatever of the old connection may still be on its way.
        this.#passive.syn(listener, segment, entry.local, entry.remote, add(entry.nxt, 65_537));
        return;
      }
    }
    const isOld =
      entry.timestamps && (!options.hasTimestamp || ((options.timestampValue - entry.recentTimestamp) | 0) < 0);
    if ((flags & flagFin) !== 0 && !isOld) this.#timeWait.restart(entry);
    // An empty ACK asks for nothing: to answer it would play ping-pong with a peer that is in TIME-WAIT, too.
    const isAsking = segment.span > 0 || segment.sequence !== entry.receiveNext;
    if (!isAsking || !this.responses.take(segment.time)) return;
    this.transmitter.segment(
      entry,
      flagAck,
      entry.nxt,
      entry.receiveNext,
      entry.window,
      entry.timestamps,
      (Math.floor(segment.time) + entry.timestampOffset) | 0,
      entry.recentTimestamp,
      null,
      0,
      0,
      0,
      true,
      notCapable,
    );
  }

  #pathError(error: IpError): void {
    const { bytes, offset, length, kind } = error;
    if (length < 8) return;
    const localPort = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
    const remotePort = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
    const sequence = readInt32(bytes, offset + 4);
    const entry = this.#demux.find(error.source, localPort, error.destination, remotePort);
    if (entry instanceof Connection) {
      if (kind === "packet-too-big") entry.packetTooBig(error.mtu, sequence);
      else if (kind === "time-exceeded" || kind === "parameter-problem") entry.softError("unreachable", sequence);
      else entry.pathError(kind === "unreachable-port" ? "refused" : "unreachable", sequence);
    } else if (entry instanceof HalfOpen && kind === "unreachable-port") {
      this.#passive.pathError(entry, sequence);
    }
  }
}

function checkPort(name: string, port: number, least: number): void {
  if (!Number.isInteger(port) || port < least || port > 65_535) {
    throw new RangeError(`${name} ${String(port)} is not an integer from ${String(least)} to 65535`);
  }
}

function checkLimits(given: Partial<TcpLimits>): TcpLimits {
  const limits: Record<string, number | boolean | string> = { ...defaultLimits };
  for (const [name, standard] of Object.entries(defaultLimits)) {
    // as: the names are those of TcpLimits, and so are the types of what is found there.
    const value = given[name as keyof TcpLimits];
    if (value === undefined) continue;
    if (typeof standard === "number" && !(typeof value === "number" && value > 0)) {
      throw new RangeError(`${name} ${String(value)} is not above 0`);
    }
    limits[name] = value;
  }
  // as: every name of TcpLimits is there, with a value of its type.
  const checked = limits as unknown as TcpLimits;
  for (const bound of ["maxReceiveBuffer", "maxSendBuffer"] as const) {
    if (checked[bound] > 268_435_456) throw new RangeError(`${bound} ${String(checked[bound])} is above 256 MiB`);
  }
  checkChoice("congestion", checked.congestion, congestionNames);
  checkChoice("ecn", checked.ecn, ecnModes);
  return {
    ...checked,
    receiveBuffer: Math.min(checked.receiveBuffer, checked.maxReceiveBuffer),
    sendBuffer: Math.min(checked.sendBuffer, checked.maxSendBuffer),
  };
}
