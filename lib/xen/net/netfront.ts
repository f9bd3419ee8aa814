import type { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { type FrontDriver, FrontEnd, type FrontEndOptions } from "../bus/front-end.ts";
import type { DeviceNodes, OtherEnd } from "../bus/other-end.ts";
import { xenbusState } from "../bus/state.ts";
import type { XenDomain } from "../domain.ts";
import { Reclaimer } from "../reclaim.ts";
import { XenError } from "../xen-error.ts";
import { describeFeatures, type Features, readFeatures } from "./features.ts";
import { FramePages, longestPayload, longPages } from "./frame-pages.ts";
import { FrontRings } from "./front-rings.ts";
import { randomMac, readMac } from "./mac.ts";
import { leastMtu, mostMtu, mostMtuInOnePiece } from "./mtu.ts";
import { type LoopHooks, RingNetif } from "./ring-netif.ts";

const mostQueues = 8;

export interface NetfrontOptions extends FrontEndOptions, LoopHooks {
  /** Default `eth` and the number of the device. */
  readonly name?: string;
  /** Our address on the link. Default: what the toolstack says, else a random one. */
  readonly mac?: MacAddress;
  /** At most what the toolstack says, which is also the default: 1500 where it says nothing. In bytes, from 576. */
  readonly mtu?: number;
  /**
   * Lets back end and stack leave checksums out and hand over frames with several TCP segments: `Page.segmentSize` and
   * `needsChecksum` tell. To be turned off where every frame must be as on a wire. Default true.
   */
  readonly offload?: boolean;
  /** Pages to build frames in, at least 2. Default 256. */
  readonly pages?: number;
  /** Pairs of rings, from 1 to 8; the back end may have fewer. Default 1: more help only back ends with many cores. */
  readonly queues?: number;
  /** Gets a failure after which no frame comes any more. */
  readonly onDead?: (error: XenError) => void;
}

/** A network interface of a Xen guest. */
export interface Netfront extends Netif {
  /** Whether there is a back end now. While there is none, frames to be sent are dropped. */
  readonly isConnected: boolean;
  /** Resolves when the device is over for good, with why: `closed` where it was `close`. */
  readonly over: Promise<XenError>;
}

/**
 * Starts a network interface of Xen (`io/netif.h`) as a {@link Netif}. It outlives its back end: another may follow, and
 * the domain may be saved and restored. What was under way then is lost, as on any link.
 *
 * The back end can write to the memory of received frames at any time, and read that of frames to be sent.
 *
 * @param path in xenstore, such as `device/vif/0`
 * @throws XenError (rejects) when it never works; RangeError (rejects) for an option out of range.
 */
export async function createNetfront(
  domain: XenDomain,
  path: string,
  options: NetfrontOptions = {},
): Promise<Netfront> {
  const { pages = 256, queues = 1 } = options;
  checkInteger("pages", pages, 2, 32_768);
  checkInteger("queues", queues, 1, mostQueues);
  const driver = new NetfrontDriver(domain, path, options);
  return driver.start();
}

class NetfrontDriver implements FrontDriver {
  readonly published = xenbusState.connected;
  readonly #domain: XenDomain;
  readonly #path: string;
  readonly #options: NetfrontOptions;
  readonly #offload: boolean;
  readonly #reclaimer: Reclaimer;
  readonly #end: FrontEnd;
  readonly #endResume: () => void;
  #device: { readonly netif: FrontNetif; readonly pages: FramePages } | undefined;
  #rings: FrontRings | undefined;
  #features: Features | undefined;
  #resumes = 0;
  /** Names of nodes that an earlier connection published. */
  #names: readonly string[] = [];

  constructor(domain: XenDomain, path: string, options: NetfrontOptions) {
    this.#domain = domain;
    this.#path = path;
    this.#options = options;
    this.#offload = options.offload ?? true;
    this.#reclaimer = new Reclaimer(domain);
    // At once, lest a channel is signalled that is another's by now; the handshake begins anew a little later.
    this.#endResume = domain.onResume(() => {
      this.#resumes++;
      this.#device?.netif.disconnect(true);
    });
    this.#end = new FrontEnd(domain, path, this, options);
  }

  async start(): Promise<Netfront> {
    const { over } = this.#end;
    void over.then((reason) => {
      this.#endResume();
      if (reason.kind !== "closed") this.#options.onDead?.(reason);
    });
    await this.#end.ready;
    if (this.#device === undefined) throw new XenError("closed", `${this.#path}: closed`);
    return this.#device.netif;
  }

  async connect(back: OtherEnd): Promise<DeviceNodes> {
    if (!(await back.readFlag("feature-rx-copy"))) {
      throw new XenError("refused", "the back end does not copy what it sends (feature-rx-copy)");
    }
    const resumes = this.#resumes;
    const features = await readFeatures(back);
    const most = await back.readInteger("multi-queue-max-queues", 1, 0xffff, 1);
    const isSplit = await back.readFlag("feature-split-event-channels");
    this.#device ??= await this.#create(features);
    const { netif, pages } = this.#device;
    if (netif.mtu > mostMtuInOnePiece && !features.scatter) {
      throw new XenError(
        "refused",
        `the back end takes no frames of several pieces, which an MTU of ${netif.mtu} needs`,
      );
    }
    // Meanwhile it was over, or begins anew: there is nobody to take back what would be made here.
    if (this.#end.reason !== undefined || this.#resumes !== resumes) return {};
    this.#features = features;
    this.#rings = new FrontRings({
      domain: this.#domain,
      backend: back.domain,
      count: Math.min(this.#options.queues ?? 1, most),
      isSplit,
      pages,
      offloads: this.#offload ? features : noOffloads,
      reception: netif,
      wake: netif.wake,
      reclaimer: this.#reclaimer,
    });
    const nodes = {
      "request-rx-copy": 1,
      "feature-rx-notify": 1,
      ...describeFeatures(this.#offload),
      ...this.#rings.nodes,
    };
    await this.#removeOthers(nodes);
    return nodes;
  }

  /** Nodes of an earlier connection would be taken for this one's. */
  async #removeOthers(nodes: DeviceNodes): Promise<void> {
    const before = this.#names;
    this.#names = Object.keys(nodes);
    for (const name of before) {
      if (!(name in nodes)) await this.#domain.xenstore.remove(`${this.#path}/${name}`).catch(() => undefined);
    }
  }

  async #create(features: Features): Promise<{ readonly netif: FrontNetif; readonly pages: FramePages }> {
    const { xenstore, random, timers } = this.#domain;
    const options = this.#options;
    const path = this.#path;
    const mac = options.mac ?? readMac(await xenstore.readIfThere(`${path}/mac`)) ?? randomMac(random);
    const mtu = chooseMtu(await xenstore.readIfThere(`${path}/mtu`), options.mtu);
    const isCut = this.#offload && features.segmentation4;
    const pages = new FramePages(this.#domain, mtu, options.pages ?? 256, isCut ? longPages : 0);
    const netif = new FrontNetif(
      {
        name: options.name ?? `eth${path.slice(path.lastIndexOf("/") + 1)}`,
        mac,
        mtu,
        features: {
          transmitChecksum: this.#offload && features.checksum4,
          maxSegmentation: pages.long === undefined ? 0 : longestPayload,
          segmentsIpv6: pages.long !== undefined && features.segmentation6,
        },
        pages,
        timers,
        loop: options,
        onViolation: (message) => this.#end.fail(new XenError("protocol", `${path}: ${message}`)),
        onClose: () => this.#end.close(),
      },
      this.#end.over,
    );
    return { netif, pages };
  }

  begin(): Promise<void> {
    if (this.#device !== undefined && this.#rings !== undefined && this.#features !== undefined) {
      const { segmentation4, segmentation6 } = this.#features;
      this.#device.netif.connect({ queues: this.#rings.queues, segmentation4, segmentation6 });
    }
    return Promise.resolve();
  }

  disconnect(_reason: XenError, isVoid: boolean, isOver: boolean): void {
    this.#device?.netif.disconnect(isVoid);
    this.#rings?.close(isVoid);
    this.#rings = undefined;
    if (!isOver) return;
    this.#device?.pages.dispose();
    this.#reclaimer.close();
  }
}

const noOffloads = { checksum4: false, checksum6: false } as const;

class FrontNetif extends RingNetif implements Netfront {
  readonly over: Promise<XenError>;

  constructor(options: ConstructorParameters<typeof RingNetif>[0], over: Promise<XenError>) {
    super(options);
    this.over = over;
  }
}

function checkInteger(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} ${String(value)} is not an integer from ${String(least)} to ${String(most)}`);
  }
}

function chooseMtu(offered: string | undefined, wanted: number | undefined): number {
  const number = offered !== undefined && /^\d{1,5}$/.test(offered) ? Number(offered) : 1500;
  // What makes no sense stands for what every link can carry.
  const most = number < leastMtu || number > mostMtu ? 1500 : number;
  if (wanted === undefined) return most;
  checkInteger("mtu", wanted, leastMtu, most);
  return wanted;
}
