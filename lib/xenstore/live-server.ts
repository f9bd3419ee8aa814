import { ClientStream } from "./client-stream.ts";
import type { Carrier, Line } from "./connection.ts";
import type { Journal } from "./journal.ts";
import { MemoryKeeper, type Keeper, type Kept } from "./keeper.ts";
import { defaultLimits } from "./limits.ts";
import type { UpdateSource } from "./live-update.ts";
import type { Connects, Serves } from "./serve.ts";
import type { Client, Sockets, XenstoreServerOptions } from "./server-options.ts";
import { XenstoreServer } from "./server.ts";
import type { ErrorName } from "./wire.ts";

/** Makes a server that goes on from what is kept: {@link XenstoreServer.restore}, of this or of newer code. */
export type Restore = (
  state: Uint8Array | undefined,
  options: XenstoreServerOptions,
  records?: Kept["records"],
) => XenstoreServer;

export interface LiveServerOptions extends Omit<XenstoreServerOptions, "sockets" | "updater" | "journal"> {
  /** Keeps what the server has done, and may have something to begin with. Default: in memory, and nothing. */
  readonly keeper?: Keeper;
  /** A server died of an error, and another has taken its place. */
  readonly onFault?: (error: unknown) => void;
}

/** Bytes of records beside a small state, before another state is kept instead. */
const fewRecords = 1024 * 1024;
/** Servers that may die of the same request. */
const mostFaults = 2;

/** A client that stays while servers change. */
class StayingLine implements Line {
  readonly client: Client;
  readonly stream: ClientStream;
  readonly #carrier: Carrier;
  readonly #guard: (work: () => void) => void;
  connection: Line | undefined;

  constructor(client: Client, carrier: Carrier, events: number, guard: (work: () => void) => void) {
    this.client = client;
    this.#carrier = carrier;
    this.stream = new ClientStream(events);
    this.#guard = guard;
  }

  /** Is served by another server from now on: what the one before says does not count any more. */
  attach(server: Connects): void {
    let isCurrent = (): boolean => true;
    const connection = server.connect(this.client, {
      stream: this.stream,
      wake: () => {
        if (isCurrent()) this.#carrier.wake();
      },
      closed: (reason) => {
        if (isCurrent()) this.#carrier.closed(reason);
      },
    });
    this.connection = connection;
    isCurrent = () => this.connection === connection;
  }

  /** Bytes that were not heard are offered again. */
  wake(): void {
    this.#carrier.wake();
  }

  get isOver(): boolean {
    return this.connection?.isOver ?? true;
  }

  get hasOutput(): boolean {
    return this.connection?.hasOutput ?? false;
  }

  receive(bytes: Uint8Array, offset: number, length: number): number {
    const { stream } = this;
    const before = stream.received;
    for (;;) {
      const { connection } = this;
      if (connection === undefined || connection.isOver) return length;
      const taken = stream.received - before;
      let all = taken;
      this.#guard(() => (all = taken + connection.receive(bytes, offset + taken, length - taken)));
      // Another server has taken its place: it hears the rest.
      if (this.connection === connection) return all;
    }
  }

  take(into: Uint8Array, offset: number, length: number): number {
    return this.connection?.take(into, offset, length) ?? 0;
  }

  proceed(): void {
    this.#guard(() => this.connection?.proceed());
  }

  refuse(error: ErrorName): void {
    this.connection?.refuse(error);
  }

  close(reason: string): void {
    this.#guard(() => this.connection?.close(reason));
  }
}

/**
 * A server that can be replaced by another, of newer code or after a fault, while its clients stay. Nothing is lost:
 * nodes, watches, transactions, half a request, what waits to be taken.
 *
 * What a server does is kept, request by request, before anybody hears of it. When it throws, it is of no use any more:
 * none of its memory is looked at again, and another goes on from what is kept. The request that was being answered is
 * asked again, and refused with `EIO` when the next server dies of it, too. Clients' bytes are kept here.
 */
export class LiveServer implements Sockets, Serves {
  readonly #options: XenstoreServerOptions;
  readonly #keeper: Keeper;
  readonly #onFault: (error: unknown) => void;
  /** By number, as in a journal. */
  readonly #lines = new Map<number, StayingLine>();
  readonly #events: number;
  #server: XenstoreServer;
  #restore: Restore = (state, options, records) => XenstoreServer.restore(state, options, records);
  #last = 0;
  #stateLength = 0;
  /** Whose request is being answered. */
  #underWay: number | undefined;
  #isGuarding = false;
  /** How often it was replaced. */
  updates = 0;
  /** How many servers died. */
  faults = 0;

  /** @param load gives newer code; without it the present one begins anew from its state */
  constructor(options: LiveServerOptions, load?: (source: UpdateSource, commandLine: string) => Promise<Restore>) {
    const { keeper = new MemoryKeeper(), onFault = () => undefined, domains, timers, ...others } = options;
    this.#keeper = keeper;
    this.#onFault = onFault;
    this.#events = options.limits?.events ?? defaultLimits.events;
    const journal: Journal = this.#journal();
    this.#options = {
      ...others,
      journal,
      domains: {
        introduce: (domain, frame, port, server) => {
          // The ring of a domain that was there stays where it is.
          if (frame === -1) return this.#reattach(-1 - domain, server);
          return domains?.introduce(domain, frame, port, this) ?? true;
        },
        release: (domain) => domains?.release(domain),
      },
      sockets: this,
      timers: {
        now: () => timers.now(),
        wall: () => timers.wall(),
        timer: (callback) => timers.timer(() => this.#guard(callback)),
      },
      updater: {
        load: async (source, commandLine) => {
          const restore = await (load?.(source, commandLine) ?? this.#restore);
          return () => this.replace(restore);
        },
      },
    };
    const { state, records } = keeper.kept();
    this.#server = this.#restore(state, this.#options, records);
    this.#keepState();
  }

  /** The one that serves now. */
  get server(): XenstoreServer {
    return this.#server;
  }

  #journal(): Journal {
    const countFaults = (): number => this.faults;
    return {
      begin: (client) => {
        this.#underWay = client;
      },
      end: (record) => {
        if (record !== undefined) this.#keeper.append(record);
        this.#underWay = undefined;
      },
      get faults() {
        return countFaults();
      },
    };
  }

  connect(client: Client, carrier: Carrier): Line {
    const numbered = client.kind === "domain" ? client : { ...client, socket: this.#freeSocket() };
    const number = numbered.kind === "domain" ? -1 - numbered.domain : numbered.socket;
    const line: StayingLine = new StayingLine(
      numbered,
      {
        wake: () => carrier.wake(),
        closed: (reason) => {
          if (this.#lines.get(number) === line) this.#lines.delete(number);
          carrier.closed(reason);
        },
      },
      this.#events,
      (work) => this.#guard(work),
    );
    const before = this.#lines.get(number);
    before?.close("the domain was connected anew");
    this.#lines.set(number, line);
    // A server that took the place of one that died of it may know the domain already.
    this.#guard(() => {
      if (line.connection === undefined) line.attach(this.#server);
    }, true);
    return line;
  }

  #freeSocket(): number {
    do this.#last = (this.#last + 1) & 0x7fff_ffff;
    while (this.#lines.has(this.#last));
    return this.#last;
  }

  reattach(socket: number, server: Connects): boolean {
    return this.#reattach(socket, server);
  }

  #reattach(number: number, server: Connects): boolean {
    const line = this.#lines.get(number);
    line?.attach(server);
    return line !== undefined;
  }

  release(domain: number): void {
    this.#guard(() => this.#server.release(domain), true);
  }

  announceRelease(): void {
    this.#guard(() => this.#server.announceRelease(), true);
  }

  /**
   * Another server takes the present one's place. Not to be called in a call of the server's.
   *
   * @throws StateError, or what `restore` throws: the present one goes on then.
   */
  replace(restore: Restore): void {
    const before = this.#server;
    const state = before.save();
    for (const { stream } of this.#lines.values()) stream.output.settle();
    try {
      this.#server = restore(state, this.#options);
      this.#restore = restore;
      this.updates++;
    } catch (error) {
      // Clients that were handed on already come back.
      this.#server = this.#restore(state, this.#options);
      throw error;
    } finally {
      before.retire();
      this.#keepState();
      this.#proceed();
    }
  }

  /** Does what calls the server. When it dies, another takes its place. */
  #guard(work: () => void, isAskedAgain = false): void {
    if (this.#isGuarding) {
      work();
      return;
    }
    this.#isGuarding = true;
    this.#underWay = undefined;
    try {
      work();
    } catch (error) {
      this.#recover(error);
      if (isAskedAgain) work();
    } finally {
      this.#isGuarding = false;
    }
    if (this.#keeper.length > 2 * this.#stateLength + fewRecords) this.#keepState();
  }

  /** The server is dead. @throws whatever keeps another from going on in its place */
  #recover(error: unknown): void {
    const dead = this.#server;
    const guilty = this.#underWay === undefined ? undefined : this.#lines.get(this.#underWay);
    this.faults++;
    dead.retire();
    this.#onFault(error);
    for (const { stream } of this.#lines.values()) stream.output.settle();
    const { state, records } = this.#keeper.kept();
    this.#server = this.#restore(state, this.#options, records);
    const isPoison = guilty !== undefined && guilty.stream.isHeld && ++guilty.stream.faults >= mostFaults;
    if (isPoison) guilty.refuse("EIO");
    queueMicrotask(() => this.#proceed());
  }

  /** What waits to be answered is, and all hear that they are heard. */
  #proceed(): void {
    for (const line of [...this.#lines.values()]) {
      line.proceed();
      line.wake();
    }
  }

  #keepState(): void {
    const state = this.#server.save();
    this.#stateLength = state.length;
    this.#keeper.begin(state);
  }
}
