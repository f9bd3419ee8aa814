// An emulated network path in real time: frames that leave one tap device go through the simulator's own link model and
// come out of another. One thread, which does nothing else: it sleeps in epoll until a frame comes or is due.
import { closeSync, openSync } from "node:fs";
import type { Clock } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";
import { CorruptedFrames } from "@tesserae/sim/corrupted-frames";
import { Events } from "@tesserae/sim/event";
import { FrameStore } from "@tesserae/sim/frame-store";
import { Channel, type FrameSink, type LinkEngine } from "@tesserae/sim/link";
import { completeLinkSettings, type LinkSettings } from "@tesserae/sim/link-settings";
import { SeededRandom } from "@tesserae/sim/random";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { openTap } from "@tesserae/tap/tun";
import { Scheduler } from "@tesserae/time/scheduler";
import { ReadinessQueue } from "./readiness-queue.ts";

const CLONE_NEWNET = 0x40000000;
/** Frames taken from one device before the others get their turn, and timers theirs. */
const batch = 32;
const longestFrame = 65_535 + 14;
/** Waits shorter than this are spun away, in milliseconds: waking up takes as long. */
const spin = 0.03;

/** What one direction did. */
export interface DirectionStatistics {
  readonly sent: number;
  readonly dropped: number;
  readonly delivered: number;
  /** Frames that the device on the far side refused. */
  readonly refused: number;
}

/** How late frames left, against the model, in milliseconds. */
export interface Lateness {
  readonly mean: number;
  readonly worst: number;
}

class Port implements FrameSink {
  readonly fd: number;
  readonly #calls: SystemCalls;
  readonly #addresses: number[];
  channel: Channel | undefined = undefined;
  refused = 0;

  constructor(calls: SystemCalls, fd: number, addresses: number[]) {
    this.#calls = calls;
    this.fd = fd;
    this.#addresses = addresses;
  }

  deliver(page: Page, offset: number, length: number): void {
    const address = (this.#addresses[page.index] ??= this.#calls.addressOf(page.bytes));
    if (this.#calls.write(this.fd, address + offset, length) !== length) this.refused++;
  }
}

/** Pairs of tap devices with a link between them. */
export class PathEmulator {
  readonly #calls: SystemCalls;
  readonly #queue = new ReadinessQueue();
  readonly #scheduler: Scheduler;
  readonly #engine: LinkEngine;
  readonly #ports: Port[] = [];
  readonly #addresses: number[] = [];
  readonly #frame = new Uint8Array(longestFrame);
  /** Frames taken from all ports. */
  #taken = 0;
  readonly #frameAddress: number;
  readonly #watched = new Map<number, () => void>();
  #lateSum = 0;
  #lateCount = 0;
  #lateWorst = 0;
  #running = false;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    const clock: Clock = { now: () => performance.now(), wall: () => Date.now() };
    this.#scheduler = new Scheduler(clock);
    const events = new Events(() => performance.now());
    this.#engine = {
      timers: this.#scheduler,
      store: new FrameStore(),
      events,
      flights: [],
      corrupted: new CorruptedFrames(),
    };
    this.#frameAddress = calls.addressOf(this.#frame);
  }

  /**
   * Opens the tap device `device` in both namespaces and connects them.
   *
   * @returns the path's number, from 0
   */
  add(near: string, far: string, device: string): number {
    const index = this.#ports.length >> 1;
    for (const namespace of [near, far]) {
      const { fd } = this.#inside(namespace, () => openTap(this.#calls, device, false));
      this.#queue.add(fd, this.#ports.length);
      this.#ports.push(new Port(this.#calls, fd, this.#addresses));
    }
    this.configure(index, {}, "0");
    return index;
  }

  /** Both directions are as `settings` say from now on. Frames on their way arrive as they would have. */
  configure(path: number, settings: LinkSettings, seed: string): void {
    const near = this.#port(path * 2);
    const far = this.#port(path * 2 + 1);
    const random = new SeededRandom(seed);
    const complete = completeLinkSettings(settings);
    near.channel = new Channel(this.#engine, "near>far", complete, random.fork("near>far"), far);
    far.channel = new Channel(this.#engine, "far>near", complete, random.fork("far>near"), near);
    near.refused = 0;
    far.refused = 0;
  }

  /** Since the path was configured: from near to far, and back. */
  statistics(path: number): [DirectionStatistics, DirectionStatistics] {
    const [near, far] = [this.#port(path * 2), this.#port(path * 2 + 1)];
    return [direction(near, far), direction(far, near)];
  }

  /** Since it was asked last. */
  lateness(): Lateness {
    const mean = this.#lateCount === 0 ? 0 : this.#lateSum / this.#lateCount;
    const worst = this.#lateWorst;
    this.#lateSum = this.#lateCount = this.#lateWorst = 0;
    return { mean, worst };
  }

  /** Calls back, from inside {@link PathEmulator.run}, while the descriptor has something to read. */
  watch(fd: number, callback: () => void): void {
    const token = 0x10000 + this.#watched.size;
    this.#watched.set(token, callback);
    this.#queue.add(fd, token);
  }

  /** Carries frames until {@link PathEmulator.stop}. The thread is in here all the time: no promise goes on. */
  run(): void {
    this.#running = true;
    let wait = 0;
    while (this.#running) {
      const ready = this.#queue.wait(wait);
      for (let index = 0; index < ready; index++) {
        const token = this.#queue.token(index);
        const watched = this.#watched.get(token);
        if (watched === undefined) this.#take(this.#port(token));
        else watched();
      }
      const now = performance.now();
      const due = this.#scheduler.nextDeadline();
      if (due <= now) {
        const late = now - due;
        this.#lateSum += late;
        this.#lateCount++;
        if (late > this.#lateWorst) this.#lateWorst = late;
        this.#scheduler.run();
      }
      const next = this.#scheduler.nextDeadline() - performance.now();
      wait = next < spin ? 0 : next;
    }
  }

  stop(): void {
    this.#running = false;
  }

  #take(port: Port): void {
    const { channel } = port;
    if (channel === undefined) return;
    for (let count = 0; count < batch; count++) {
      const length = this.#calls.read(port.fd, this.#frameAddress, longestFrame);
      if (length <= 0) return;
      channel.send(this.#frame, 0, length, this.#taken++);
    }
  }

  #port(index: number): Port {
    const port = this.#ports[index];
    if (port === undefined) throw new RangeError(`there is no path ${index >> 1}`);
    return port;
  }

  #inside<T>(namespace: string, act: () => T): T {
    const own = openSync("/proc/thread-self/ns/net", "r");
    const there = openSync(`/run/netns/${namespace}`, "r");
    try {
      if (this.#calls.setns(there, CLONE_NEWNET) !== 0) throw new Error(`cannot enter namespace ${namespace}`);
      return act();
    } finally {
      if (this.#calls.setns(own, CLONE_NEWNET) !== 0) process.abort();
      closeSync(there);
      closeSync(own);
    }
  }
}

function direction(from: Port, to: Port): DirectionStatistics {
  const { sent, dropped, delivered } = from.channel ?? { sent: 0, dropped: 0, delivered: 0 };
  return { sent, dropped, delivered, refused: to.refused };
}
