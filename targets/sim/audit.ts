import type { Stack } from "@tesserae/device/stack";
import { ByteLedger } from "./byte-ledger.ts";
import type { Host } from "./host.ts";
import { WireAudit } from "./wire-audit.ts";

/** Connections looked at after one event. */
const sample = 16;

/**
 * What every TCP of a world must keep, looked at from three sides: from the flows' ends, what is read is what was
 * written ({@link ByteLedger}); on the wire, each segment is one that TCP may send ({@link WireAudit}); and inside our
 * own stacks, the numbers of connections and the bounds of tables ({@link Audit.inside}).
 *
 * The first two look at everything. Inside, each event has one host looked at, in turn, and sixteen of its connections:
 * all of them are looked at again and again, at a price that does not grow with them.
 */
export class Audit {
  readonly bytes: ByteLedger = new ByteLedger();
  readonly wire: WireAudit;
  readonly #hosts: () => readonly Host[];
  /** By the number of the interface; hosts that are made later are looked for anew. */
  readonly #owners = new Map<number, Host>();
  #list: readonly Host[] = [];
  #next = 0;

  constructor(hosts: () => readonly Host[]) {
    this.#hosts = hosts;
    this.wire = new WireAudit((interfaceId, bytes, source, size) => {
      const host = this.#owner(interfaceId);
      return host !== undefined && host.netifs.length === 1 && hasAddress(host, bytes, source, size);
    });
  }

  /** Has the flows of a host's stack watched. */
  watch(host: Host, stack: Stack): void {
    this.bytes.watch(stack.tcp, host.name);
  }

  /** @returns what is wrong with one of our own stacks. */
  inside(): string | undefined {
    if (this.#next >= this.#list.length) {
      this.#list = this.#hosts();
      this.#next = 0;
    }
    const host = this.#list[this.#next++];
    if (host?.hasOwnStack !== true) return undefined;
    const problem = host.ownStack.tcp.audit(sample);
    return problem === undefined ? undefined : `${host.name}: ${problem}`;
  }

  #owner(interfaceId: number): Host | undefined {
    const known = this.#owners.get(interfaceId);
    if (known !== undefined) return known;
    for (const host of this.#hosts()) for (const nic of host.netifs) this.#owners.set(nic.id, host);
    return this.#owners.get(interfaceId);
  }
}

/** Whether `bytes[source … + size)` is an address of the host's. */
function hasAddress(host: Host, bytes: Uint8Array, source: number, size: number): boolean {
  const { addresses } = host;
  for (const address of addresses) {
    if ((address.family === 4) !== (size === 4)) continue;
    if (size === 4 ? word(bytes, source) === address.w3 >>> 0 : isSame(bytes, source, address)) return true;
  }
  return false;
}

function isSame(
  bytes: Uint8Array,
  at: number,
  { w0, w1, w2, w3 }: { readonly w0: number; readonly w1: number; readonly w2: number; readonly w3: number },
): boolean {
  return (
    word(bytes, at) === w0 >>> 0 &&
    word(bytes, at + 4) === w1 >>> 0 &&
    word(bytes, at + 8) === w2 >>> 0 &&
    word(bytes, at + 12) === w3 >>> 0
  );
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}
