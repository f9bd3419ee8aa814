import type { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { type BackDriver, BackEnd } from "../bus/back-end.ts";
import type { DeviceNodes, OtherEnd } from "../bus/other-end.ts";
import type { XenDomain } from "../domain.ts";
import type { CopyBatch, SharedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { landingPages, receiveCopies } from "./back-receiver.ts";
import { openBackRings, readQueues } from "./back-rings.ts";
import { sendCopies } from "./back-sender.ts";
import { describeFeatures, readFeatures } from "./features.ts";
import { FramePages, longestPayload, longPages } from "./frame-pages.ts";
import { randomMac, readMac } from "./mac.ts";
import { leastMtu, mostMtu, mostMtuInOnePiece } from "./mtu.ts";
import { type LoopHooks, RingNetif } from "./ring-netif.ts";

export interface NetbackOptions extends LoopHooks {
  /**
   * A front end has connected: `netif` is this end of the link to it. With the next connection there will be another.
   *
   * @param frontMac the address that the toolstack gave the front end; undefined where it gave none
   */
  readonly onConnect: (netif: Netif, frontMac: MacAddress | undefined) => void;
  /** The front end is gone. What is sent to `netif` is dropped from now on, and it receives nothing. */
  readonly onDisconnect?: (netif: Netif) => void;
  /** Default `vif`, the domain's number, a point, and the device's. */
  readonly name?: string;
  /** Of this end of the link, for those who use it as an interface. Default: random. */
  readonly mac?: MacAddress;
  /** In bytes, from 576. Default: what the toolstack says, or 1500. */
  readonly mtu?: number;
  /** Lets the front end leave checksums and the cutting of frames to us. Default true. */
  readonly offload?: boolean;
  /** Pages to build frames in. Default 256. */
  readonly pages?: number;
  /** Pairs of rings that a front end may have, from 1 to 8. Default 4. */
  readonly queues?: number;
}

/**
 * Serves one network interface of another domain (`io/netif.h`): this end of it is a `Netif`, to be bridged, routed or
 * used by a stack. Serves one connection after the other, until the device is removed or closed: `over` says why. A
 * front end that breaks the protocol ends it, too.
 *
 * @param path in xenstore, such as `backend/vif/7/0`
 */
export function serveNetback(domain: XenDomain, path: string, options: NetbackOptions): BackEnd {
  return new NetbackDriver(domain, path, options).end;
}

class NetbackDriver implements BackDriver {
  readonly end: BackEnd;
  readonly #domain: XenDomain;
  readonly #path: string;
  readonly #options: NetbackOptions;
  readonly #offload: boolean;
  readonly #queues: number;
  readonly #receiveBatch: CopyBatch;
  readonly #sendBatch: CopyBatch;
  #landing: SharedPages | undefined;
  #pages: FramePages | undefined;
  #netif: RingNetif | undefined;
  /** Whether `onConnect` was called for it. */
  #isTold = false;
  #resumes = 0;

  constructor(domain: XenDomain, path: string, options: NetbackOptions) {
    this.#domain = domain;
    this.#path = path;
    this.#options = options;
    this.#offload = options.offload ?? true;
    this.#queues = options.queues ?? 4;
    this.#receiveBatch = domain.foreign.createCopyBatch(receiveCopies);
    this.#sendBatch = domain.foreign.createCopyBatch(sendCopies);
    const endResume = domain.onResume(() => {
      this.#resumes++;
      this.#netif?.disconnect(true);
    });
    this.end = new BackEnd(domain, path, this);
    void this.end.over.then(() => {
      endResume();
      this.#landing?.release();
    });
  }

  features(): DeviceNodes {
    return {
      ...describeFeatures(this.#offload),
      "feature-rx-copy": 1,
      "feature-rx-flip": 0,
      "feature-split-event-channels": 1,
      "multi-queue-max-queues": this.#queues,
    };
  }

  async connect(front: OtherEnd): Promise<DeviceNodes> {
    const domain = this.#domain;
    const options = this.#options;
    if (!(await front.readFlag("request-rx-copy"))) {
      throw new XenError("refused", "the front end does not want frames copied (request-rx-copy)");
    }
    const resumes = this.#resumes;
    const features = await readFeatures(front);
    const queues = await readQueues(front, this.#queues);
    const mtu = await this.#mtu(features.scatter);
    const frontMac = readMac(await domain.xenstore.readIfThere(`${this.#path}/mac`));
    // Meanwhile it was over, or begins anew: there is nobody to take back what would be made here.
    if (this.end.reason !== undefined || this.#resumes !== resumes) return {};
    this.#landing ??= domain.allocate(landingPages);
    const isCut = this.#offload && features.segmentation4;
    const pages = new FramePages(domain, mtu, options.pages ?? 256, isCut ? longPages : 0);
    this.#pages = pages;
    const device = this.#path.slice(this.#path.lastIndexOf("/") + 1);
    const netif = new RingNetif({
      name: options.name ?? `vif${String(front.domain)}.${device}`,
      mac: options.mac ?? randomMac(domain.random),
      mtu,
      features: {
        transmitChecksum: this.#offload && features.checksum4,
        maxSegmentation: pages.long === undefined ? 0 : longestPayload,
        segmentsIpv6: pages.long !== undefined && features.segmentation6,
      },
      pages,
      timers: domain.timers,
      loop: options,
      onViolation: (message) => this.end.fail(new XenError("protocol", `${this.#path}: ${message}`)),
      onClose: () => this.end.close(),
    });
    this.#netif = netif;
    const opened = openBackRings({
      domain,
      frontend: front.domain,
      queues,
      pages,
      offloads: this.#offload ? features : { checksum4: false, checksum6: false },
      reception: netif,
      wake: netif.wake,
      receiveBatch: this.#receiveBatch,
      sendBatch: this.#sendBatch,
      landing: this.#landing,
    });
    netif.connect({ queues: opened, segmentation4: features.segmentation4, segmentation6: features.segmentation6 });
    this.#isTold = true;
    options.onConnect(netif, frontMac);
    return {};
  }

  async #mtu(scatter: boolean): Promise<number> {
    const said = await this.#domain.xenstore.readIfThere(`${this.#path}/mtu`);
    const offered = said !== undefined && /^\d{1,5}$/.test(said) ? Number(said) : 1500;
    const mtu = this.#options.mtu ?? offered;
    return Math.min(Math.max(mtu, leastMtu), scatter ? mostMtu : mostMtuInOnePiece);
  }

  disconnect(_reason: XenError, isVoid: boolean): void {
    const netif = this.#netif;
    const isTold = this.#isTold;
    this.#isTold = false;
    this.#netif = undefined;
    netif?.disconnect(isVoid);
    this.#pages?.dispose();
    this.#pages = undefined;
    if (netif !== undefined && isTold) this.#options.onDisconnect?.(netif);
  }
}
