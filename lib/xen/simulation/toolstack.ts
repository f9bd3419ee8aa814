import { sleep } from "@tesserae/time/sleep";
import type { Nodes } from "@tesserae/xenstore/client";
import { xenbusState } from "../bus/state.ts";
import { XenError } from "../xen-error.ts";
import type { SimulatedDomain } from "./domain.ts";
import type { SimulatedMachine } from "./machine.ts";

export interface DeviceOptions {
  /** `vbd`, `vif`, … */
  readonly kind: string;
  /** Its number: 51712 for `xvda`, 0 for the first `vif`. */
  readonly number: number;
  readonly front: SimulatedDomain;
  readonly back: SimulatedDomain;
  /** More nodes of either end. */
  readonly frontNodes?: Readonly<Record<string, string>>;
  readonly backNodes?: Readonly<Record<string, string>>;
}

/** Where the ends of a device are, as absolute paths. */
export interface Device {
  readonly frontPath: string;
  readonly backPath: string;
}

/** What `xl` does in xenstore for devices. */
export class Toolstack {
  readonly #machine: SimulatedMachine;

  constructor(machine: SimulatedMachine) {
    this.#machine = machine;
  }

  /**
   * Makes the nodes of both ends, for a device that is new or has got another back end.
   *
   * @throws XenError (rejects) `no-domain` when the toolstack has destroyed one of the two.
   */
  async attach({ kind, number, front, back, frontNodes = {}, backNodes = {} }: DeviceOptions): Promise<Device> {
    const frontPath = `/local/domain/${front.id}/device/${kind}/${number}`;
    const backPath = `/local/domain/${back.id}/backend/${kind}/${front.id}/${number}`;
    const state = String(xenbusState.initialising);
    await this.#machine.control.xenstore.transaction(async (nodes) => {
      for (const { id } of [front, back]) {
        if ((await nodes.readIfThere(`/local/domain/${id}`)) !== undefined) continue;
        throw new XenError("no-domain", `${backPath}: there is no domain ${id}`);
      }
      const ends = { frontend: frontPath, "frontend-id": String(front.id), online: "1", state };
      await make(nodes, backPath, back.id, front.id, { ...ends, ...backNodes });
      const there = { backend: backPath, "backend-id": String(back.id), state };
      await make(nodes, frontPath, front.id, back.id, { ...there, ...frontNodes });
    });
    return { frontPath, backPath };
  }

  /** Asks both ends to let go, as `xl block-detach` does, and removes the nodes once they have, or after `timeout` ms. */
  async detach(device: Device, timeout = 10_000): Promise<void> {
    const { xenstore, timers } = this.#machine.control;
    await xenstore.transaction(async (nodes) => {
      if ((await nodes.readIfThere(`${device.backPath}/state`)) === undefined) return;
      await nodes.write(`${device.backPath}/online`, "0");
      await nodes.write(`${device.backPath}/state`, String(xenbusState.closing));
    });
    let unwatch: () => Promise<void> = () => Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      const timer = timers.timer(resolve);
      timer.set(timers.now() + timeout);
      const looked = (state: string | undefined): void => {
        if (state !== undefined && state !== String(xenbusState.closed)) return;
        timer.cancel();
        resolve();
      };
      const look = (): void => void xenstore.readIfThere(`${device.backPath}/state`).then(looked, reject);
      xenstore.watch(device.backPath, look).then((end) => {
        unwatch = end;
      }, reject);
    });
    await unwatch();
    await this.remove(device);
  }

  /** Removes the nodes of both ends, whatever they are doing. */
  async remove({ frontPath, backPath }: Device): Promise<void> {
    await this.#machine.control.xenstore.transaction(async (nodes) => {
      for (const path of [frontPath, backPath]) {
        if ((await nodes.readIfThere(path)) !== undefined) await nodes.remove(path);
        await removeEmpty(nodes, path);
      }
    });
  }

  /**
   * Suspends a domain, and lets it go on after `ms` milliseconds, under another number, with devices made anew, as
   * `xl save` and `xl restore` do.
   *
   * @param devices makes the devices of the domain, before it runs
   */
  async saveAndRestore(
    domain: SimulatedDomain,
    old: readonly Device[],
    ms: number,
    devices: () => Promise<void>,
  ): Promise<void> {
    const { timers, xenstore } = this.#machine.control;
    // It suspends itself only when xenstore has answered.
    while (domain.xenstore.waiting > 0) await sleep(timers, 1);
    const home = `/local/domain/${domain.id}`;
    this.#machine.suspend(domain);
    for (const device of old) await this.remove(device);
    if ((await xenstore.readIfThere(home)) !== undefined) await xenstore.remove(home);
    await sleep(timers, ms);
    await this.#machine.restore(domain, devices);
  }

  /** Destroys a domain, and removes its nodes and those of its devices. */
  async destroy(domain: SimulatedDomain, devices: readonly Device[] = []): Promise<void> {
    this.#machine.destroy(domain);
    for (const device of devices) await this.remove(device);
    const home = `/local/domain/${domain.id}`;
    const { xenstore } = this.#machine.control;
    if ((await xenstore.readIfThere(home)) !== undefined) await xenstore.remove(home);
  }
}

async function make(
  nodes: Nodes,
  path: string,
  owner: number,
  reader: number,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  if ((await nodes.readIfThere(path)) !== undefined) await nodes.remove(path);
  await nodes.make(path);
  await nodes.setPermissions(path, [`n${owner}`, `r${reader}`]);
  for (const [name, value] of Object.entries(values)) await nodes.write(`${path}/${name}`, value);
}

/** Removes what is empty above a path, up to the domain's directory of devices. */
async function removeEmpty(nodes: Nodes, path: string): Promise<void> {
  const names = path.split("/");
  for (let length = names.length - 1; length > "/local/domain/1/device".split("/").length; length--) {
    const above = names.slice(0, length).join("/");
    if ((await nodes.readIfThere(above)) === undefined) continue;
    if ((await nodes.list(above)).length > 0) return;
    await nodes.remove(above);
  }
}
