import type { Timer, Timers } from "@tesserae/device/clock";
import type { EventChannel, EventChannels } from "../event-channel.ts";
import { XenError } from "../xen-error.ts";

/** Finds the channels of a domain that is there. */
export type ChannelsOf = (domain: number) => SimulatedChannels | undefined;

class Channel implements EventChannel {
  readonly port: number;
  readonly owner: SimulatedChannels;
  /** The domain at the other end; −1 for what the hypervisor signals. */
  readonly remote: number;
  /** The other end, once it is bound. */
  peer: Channel | undefined;
  readonly #timer: Timer;
  readonly #latency: () => number;
  readonly #timers: Timers;
  #isOpen = true;

  constructor(
    owner: SimulatedChannels,
    port: number,
    remote: number,
    timers: Timers,
    latency: () => number,
    onEvent: () => void,
  ) {
    this.owner = owner;
    this.port = port;
    this.remote = remote;
    this.#timers = timers;
    this.#latency = latency;
    this.#timer = timers.timer(() => {
      if (this.#isOpen) onEvent();
    });
  }

  /** Delivers an event after a while, if none is under way. */
  signal(): void {
    if (this.#isOpen && !this.#timer.armed) this.#timer.set(this.#timers.now() + this.#latency());
  }

  notify(): void {
    if (this.#isOpen) this.peer?.signal();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer.cancel();
    // The other end may be bound again.
    if (this.peer !== undefined) this.peer.peer = undefined;
    this.peer = undefined;
    this.owner.closed(this);
  }

  unref(): void {
    // A simulated machine waits for nothing.
  }
}

/** The event channels of one simulated domain. Events come through timers, so never inside a call. */
export class SimulatedChannels implements EventChannels {
  readonly #self: () => number;
  readonly #channelsOf: ChannelsOf;
  readonly #timers: Timers;
  readonly #latency: () => number;
  readonly #most: number;
  readonly #ports = new Map<number, Channel>();
  #last = 0;
  #isOver = false;

  /** @param most channels at a time */
  constructor(self: () => number, channelsOf: ChannelsOf, timers: Timers, latency: () => number, most: number) {
    this.#self = self;
    this.#channelsOf = channelsOf;
    this.#timers = timers;
    this.#latency = latency;
    this.#most = most;
  }

  /** Channels that are open. */
  get open(): number {
    return this.#ports.size;
  }

  allocate(remote: number, onEvent: () => void): EventChannel {
    if (this.#channelsOf(remote) === undefined) throw new XenError("no-domain", `there is no domain ${remote}`);
    return this.#add(remote, onEvent);
  }

  bind(remote: number, remotePort: number, onEvent: () => void): EventChannel {
    const channels = this.#channelsOf(remote);
    if (channels === undefined) throw new XenError("no-domain", `there is no domain ${remote}`);
    const peer = channels.#ports.get(remotePort);
    if (peer?.remote !== this.#self() || peer.peer !== undefined) {
      throw new XenError("bad-channel", `domain ${remote} does not offer port ${remotePort}`);
    }
    const channel = this.#add(remote, onEvent);
    channel.peer = peer;
    peer.peer = channel;
    channel.signal();
    return channel;
  }

  /** A channel that only the hypervisor signals. */
  virtual(onEvent: () => void): { readonly channel: EventChannel; readonly signal: () => void } {
    const channel = this.#add(-1, onEvent);
    return { channel, signal: () => channel.signal() };
  }

  #add(remote: number, onEvent: () => void): Channel {
    if (this.#isOver) throw new XenError("gone", "the domain is destroyed");
    if (this.#ports.size >= this.#most) throw new XenError("exhausted", `${this.#most} event channels are open`);
    do this.#last = (this.#last % this.#most) + 1;
    while (this.#ports.has(this.#last));
    const channel = new Channel(this, this.#last, remote, this.#timers, this.#latency, onEvent);
    this.#ports.set(channel.port, channel);
    return channel;
  }

  closed(channel: Channel): void {
    if (this.#ports.get(channel.port) === channel) this.#ports.delete(channel.port);
  }

  /** Whether the other end of a channel is there. */
  isConnected(port: number): boolean {
    return this.#ports.get(port)?.peer !== undefined;
  }

  /** The domain is destroyed, or goes on as another. */
  clear(isOver: boolean): void {
    this.#isOver = isOver;
    for (const channel of [...this.#ports.values()]) channel.close();
  }
}
