import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import { DeviceEnd } from "./end.ts";
import { type DeviceNodes, OtherEnd } from "./other-end.ts";
import { stateName, xenbusState } from "./state.ts";

/** What a kind of device does at its back end. Whatever one of these throws ends the device. */
export interface BackDriver {
  /** What the back end can, published before the front end connects. */
  features(): DeviceNodes | Promise<DeviceNodes>;

  /**
   * The front end has published its rings: reads where, and then maps them and binds channels, without waiting in
   * between. Work begins.
   *
   * @returns what to publish with the state `connected`: the device's properties
   */
  connect(front: OtherEnd): Promise<DeviceNodes>;

  /**
   * There is no connection any more: of mappings and channels nothing is kept, and what is under way touches none.
   * Also when `connect` has thrown halfway, and more than once.
   *
   * @param isVoid after a restore: mappings and channels are forgotten, not ended
   */
  disconnect(reason: XenError, isVoid: boolean): void;
}

/** The back end of a device: serves one connection after the other, until the toolstack removes it. */
export class BackEnd extends DeviceEnd {
  readonly #driver: BackDriver;
  #frontPath: string | undefined;
  #isConnected = false;
  /** Counts what ends connections from outside of a look: that was for another state of affairs then. */
  #epoch = 0;
  /** What our state was set to last; 0: not known. */
  #state = 0;
  #closing: Promise<void> | undefined;

  constructor(domain: XenDomain, path: string, driver: BackDriver) {
    super(domain, path);
    this.#driver = driver;
    this.watch(path);
    this.wake();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  protected override async look(): Promise<void> {
    const { xenstore } = this.domain;
    const epoch = this.#epoch;
    const [frontPath, frontDomain, online] = await Promise.all([
      xenstore.readIfThere(`${this.path}/frontend`),
      xenstore.readIfThere(`${this.path}/frontend-id`),
      xenstore.readIfThere(`${this.path}/online`),
    ]);
    if (frontPath === undefined || frontDomain === undefined || !/^\d{1,5}$/.test(frontDomain)) {
      if (this.#frontPath !== undefined) this.fail(new XenError("gone", `${this.path}: the device was removed`));
      return;
    }
    if (this.#frontPath === undefined) {
      this.#frontPath = frontPath;
      this.watch(`${frontPath}/state`);
    }
    const state = await this.stateAt(frontPath);
    if (this.#epoch !== epoch) return;
    await this.#step(new OtherEnd(xenstore, Number(frontDomain), frontPath), state, online !== "0");
  }

  async #step(front: OtherEnd, state: number, isOnline: boolean): Promise<void> {
    switch (state) {
      case xenbusState.initialising:
        this.#disconnect(new XenError("gone", `${this.path}: the front end begins anew`));
        // The toolstack may take a device away again before its front end has done anything.
        if (isOnline) await this.#offer();
        else await this.#set(xenbusState.closed);
        return;
      case xenbusState.initialised:
      case xenbusState.connected:
        // One that connects without having waited for us.
        if (this.#state === 0) await this.#offer();
        if (this.#state === xenbusState.initWait) await this.#connect(front);
        return;
      case xenbusState.closing:
      case xenbusState.closed:
      case xenbusState.unknown:
        this.#disconnect(new XenError("gone", `${this.path}: the front end is ${stateName(state)}`));
        await this.#set(state === xenbusState.closing ? xenbusState.closing : xenbusState.closed);
    }
  }

  async #offer(): Promise<void> {
    if (this.#state === xenbusState.initWait) return;
    const features = await this.#driver.features();
    await this.publish(xenbusState.initWait, { ...features, "hotplug-status": "connected" });
    this.#state = xenbusState.initWait;
  }

  async #connect(front: OtherEnd): Promise<void> {
    // Connecting may fail halfway: what it mapped is unmapped, too.
    this.#isConnected = true;
    const epoch = this.#epoch;
    const nodes = await this.#driver.connect(front);
    if (this.#epoch !== epoch) {
      // It was ended before it began.
      this.#driver.disconnect(this.reason ?? new XenError("gone", `${this.path}: the domain was restored`), false);
      return;
    }
    await this.publish(xenbusState.connected, nodes);
    this.#state = xenbusState.connected;
  }

  async #set(state: number): Promise<void> {
    if (this.#state === state) return;
    await this.publish(state);
    this.#state = state;
  }

  #disconnect(reason: XenError, isVoid = false): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#driver.disconnect(reason, isVoid);
  }

  protected override resumed(): void {
    this.#epoch++;
    this.#state = 0;
    this.#disconnect(new XenError("gone", `${this.path}: the domain was restored`), true);
  }

  protected override async stop(reason: XenError): Promise<void> {
    this.#epoch++;
    this.#disconnect(reason);
    if (this.domain.xenstore.isOver || reason.kind === "gone") return;
    await this.complain(reason);
    await this.publish(xenbusState.closed);
  }

  /** Ends the device, whatever the front end does. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.fail(new XenError("closed", `${this.path}: closed`));
    await this.over;
  }
}
