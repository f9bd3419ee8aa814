import type { Timer } from "@tesserae/device/clock";
import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import { DeviceEnd, isLeaving } from "./end.ts";
import { type DeviceNodes, OtherEnd, readOther } from "./other-end.ts";
import { stateName, xenbusState } from "./state.ts";

/** What a kind of device does at its front end. Whatever one of these throws ends the device. */
export interface FrontDriver {
  /** What the front end's state becomes when its rings are published: `connected` for network interfaces. */
  readonly published: typeof xenbusState.initialised | typeof xenbusState.connected;

  /**
   * The back end has said what it can. Reads that, and then makes rings and channels, without waiting in between.
   *
   * @returns what to publish
   */
  connect(back: OtherEnd): Promise<DeviceNodes>;

  /** The back end is connected, too. Reads the device's properties; work begins. */
  begin(back: OtherEnd): Promise<void>;

  /**
   * There is no connection any more: of grants and channels nothing is kept. Also when `connect` has thrown halfway, and
   * more than once. Another connection may follow, unless the device is over: what was under way is done again then.
   *
   * @param isVoid after a restore: grants and channels are forgotten, not ended
   * @param isOver no other connection will follow
   */
  disconnect(reason: XenError, isVoid: boolean, isOver: boolean): void;
}

export interface FrontEndOptions {
  /** Milliseconds in which the device has to be ready for the first time. Default: 60,000. */
  readonly timeout?: number;
  /** Milliseconds that closing waits for the back end. Default: 5,000. */
  readonly closeTimeout?: number;
  /** A device that worked works no more, and waits for its back end, or another. Why the message says, with its path. */
  readonly onLost?: (reason: XenError) => void;
  /** After `onLost`: it works again. */
  readonly onRegained?: () => void;
}

type Phase =
  /** Nothing is set up. */
  | "idle"
  /** Rings are made and published. */
  | "published"
  | "working"
  /** The back end is closing or closed, and has our answer. */
  | "shut";

/**
 * The front end of a device: shakes hands with the back end through xenstore, again and again as back ends come and go,
 * and as the domain is restored.
 */
export class FrontEnd extends DeviceEnd {
  /** Resolves when the device works for the first time. Rejects with {@link XenError} when it never will. */
  readonly ready: Promise<void>;
  readonly #driver: FrontDriver;
  readonly #closeTimeout: number;
  readonly #options: FrontEndOptions;
  /** `onLost` was called last. */
  #isLost = false;
  readonly #deadline: Timer;
  #resolveReady!: () => void;
  #rejectReady!: (reason: XenError) => void;
  #phase: Phase = "idle";
  #backPath: string | undefined;
  #backDomain = 0;
  /** What our state was set to last; 0: not known. */
  #state = 0;
  #lastSeen = 0;
  /** Counts what ends connections from outside of a look: that was for another state of affairs then. */
  #epoch = 0;
  #isClosing = false;
  #closing: Promise<void> | undefined;
  #leave: (() => void) | undefined;

  constructor(domain: XenDomain, path: string, driver: FrontDriver, options: FrontEndOptions = {}) {
    super(domain, path);
    const { timeout = 60_000, closeTimeout = 5_000 } = options;
    this.#driver = driver;
    this.#closeTimeout = closeTimeout;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever does not wait for it learns from `over`.
    this.ready.catch(() => undefined);
    this.#deadline = domain.timers.timer(() => {
      const state = stateName(this.#lastSeen);
      this.fail(new XenError("timeout", `${path}: the back end is ${state} after ${timeout} ms`));
    });
    this.#deadline.set(domain.timers.now() + timeout);
    this.watch(`${path}/backend`);
    this.wake();
  }

  get isWorking(): boolean {
    return this.#phase === "working";
  }

  protected override async look(): Promise<void> {
    const { xenstore } = this.domain;
    const epoch = this.#epoch;
    const [backPath, backDomain, ownState] = await Promise.all([
      xenstore.readIfThere(`${this.path}/backend`),
      xenstore.readIfThere(`${this.path}/backend-id`),
      this.stateAt(this.path),
    ]);
    if (backPath === undefined || backDomain === undefined || !/^\d{1,5}$/.test(backDomain)) {
      // Before the toolstack has written them there is nothing to do; afterwards the device was removed.
      if (this.#backPath !== undefined) this.fail(new XenError("gone", `${this.path}: the device was removed`));
      return;
    }
    if (backPath !== this.#backPath || Number(backDomain) !== this.#backDomain) this.#follow(backPath, backDomain);
    if (this.#state !== xenbusState.initialising && ownState === xenbusState.initialising) {
      // The toolstack has made the device anew.
      this.#disconnect(new XenError("gone", `${this.path}: the device was made anew`), false);
      this.#state = ownState;
    }
    const state = await this.stateAt(backPath);
    this.#lastSeen = state;
    if (this.#epoch !== epoch) return;
    if (this.#isClosing) {
      if (isLeaving(state) || this.#phase !== "working") this.#leave?.();
      return;
    }
    await this.#step(new OtherEnd(xenstore, this.#backDomain, backPath), state);
  }

  /** Another back end: the first, or one in the place of another. */
  #follow(backPath: string, backDomain: string): void {
    if (this.#backPath !== undefined) {
      this.unwatch(`${this.#backPath}/state`);
      this.#disconnect(new XenError("gone", `${this.path}: another back end took over`), false);
    }
    this.#backPath = backPath;
    this.#backDomain = Number(backDomain);
    this.watch(`${backPath}/state`);
  }

  async #step(back: OtherEnd, state: number): Promise<void> {
    if (this.#phase === "published" && state === xenbusState.connected) {
      const epoch = this.#epoch;
      await this.#driver.begin(back);
      if (this.#epoch !== epoch) return;
      if (this.#state !== xenbusState.connected) await this.#set(xenbusState.connected);
      this.#phase = "working";
      this.#deadline.cancel();
      this.#resolveReady();
      if (this.#isLost) this.#options.onRegained?.();
      this.#isLost = false;
      return;
    }
    if (isLeaving(state)) {
      await this.#shut(state);
      return;
    }
    // A back end that begins anew finds our rings where they are, and answers what it finds there.
    if (this.#phase === "published" || this.#phase === "working") return;
    if (this.#state !== xenbusState.initialising) await this.#set(xenbusState.initialising);
    this.#phase = "idle";
    if (state === xenbusState.initWait || state === xenbusState.initialised) await this.#publishRings(back);
  }

  async #publishRings(back: OtherEnd): Promise<void> {
    // Connecting may fail halfway: what it made is ended, too.
    this.#phase = "published";
    const epoch = this.#epoch;
    const nodes = await this.#driver.connect(back);
    if (this.#epoch !== epoch) {
      // It was ended before it began.
      const reason = this.reason ?? new XenError("gone", `${this.path}: the domain was restored`);
      this.#driver.disconnect(reason, false, this.reason !== undefined);
      return;
    }
    await this.publish(this.#driver.published, nodes);
    this.#state = this.#driver.published;
  }

  /** The back end is leaving, or is not there. It may come back. */
  async #shut(state: number): Promise<void> {
    this.#disconnect(new XenError("gone", `${this.path}: the back end is ${stateName(state)}`), false);
    if (state === xenbusState.closing) {
      if (this.#state !== xenbusState.closed) await this.#set(xenbusState.closed);
      this.#phase = "shut";
      return;
    }
    const online = await readOther(this.domain.xenstore, `${this.#backPath ?? ""}/online`);
    const wanted = state === xenbusState.closed && online === "0" ? xenbusState.closed : xenbusState.initialising;
    if (this.#state !== wanted) await this.#set(wanted);
  }

  async #set(state: number): Promise<void> {
    await this.publish(state);
    this.#state = state;
  }

  #disconnect(reason: XenError, isVoid: boolean, isOver = false): void {
    const hasWorked = this.#phase === "working";
    const had = hasWorked || this.#phase === "published";
    this.#phase = "idle";
    if (had || isOver) this.#driver.disconnect(reason, isVoid, isOver);
    // A restore has its own way of being known, and the end of the device too.
    if (!hasWorked || isVoid || isOver) return;
    this.#isLost = true;
    this.#options.onLost?.(reason);
  }

  protected override resumed(): void {
    this.#epoch++;
    this.#state = 0;
    this.#disconnect(new XenError("gone", `${this.path}: the domain was restored`), true);
  }

  protected override async stop(reason: XenError): Promise<void> {
    this.#deadline.cancel();
    this.#epoch++;
    this.#disconnect(reason, false, true);
    this.#rejectReady(reason);
    this.#leave?.();
    if (this.domain.xenstore.isOver || this.#backPath === undefined) return;
    await this.complain(reason);
    if (reason.kind !== "gone") await this.publish(xenbusState.closed);
  }

  /**
   * Ends the device: the back end gets the chance to let go of what it has mapped. Idempotent; never rejects. What is
   * under way should be done before.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.reason === undefined && this.#phase === "working") {
      const left = new Promise<void>((resolve) => {
        this.#leave = resolve;
      });
      const timer = this.domain.timers.timer(() => this.#leave?.());
      timer.set(this.domain.timers.now() + this.#closeTimeout);
      this.#isClosing = true;
      await this.publish(xenbusState.closing).catch(() => this.#leave?.());
      this.wake();
      await left;
      timer.cancel();
    }
    this.fail(new XenError("closed", `${this.path}: closed`));
    await this.over;
  }
}
