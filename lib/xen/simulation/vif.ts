import type { Netif } from "@tesserae/device/netif";
import type { BackEnd } from "../bus/back-end.ts";
import { type NetbackOptions, serveNetback } from "../net/netback.ts";
import { createNetfront, type Netfront, type NetfrontOptions } from "../net/netfront.ts";
import type { SimulatedDomain } from "./domain.ts";
import type { Device, Toolstack } from "./toolstack.ts";

export interface VifOptions {
  readonly toolstack: Toolstack;
  readonly guest: SimulatedDomain;
  readonly driver: SimulatedDomain;
  readonly mtu?: number;
  readonly front?: NetfrontOptions;
  readonly back?: Omit<NetbackOptions, "onConnect">;
}

/** A network interface between two simulated domains. */
export interface Vif {
  readonly device: Device;
  /** The guest's end. */
  readonly front: Netfront;
  /** The other end, of the first connection. */
  readonly back: Netif;
  readonly server: BackEnd;
}

/** Gives a guest a network interface, whose other end another domain has. */
export async function connectVif(options: VifOptions): Promise<Vif> {
  const { toolstack, guest, driver } = options;
  const device = await toolstack.attach(vifNodes(guest, driver, options));
  let server: BackEnd | undefined;
  const connected = new Promise<Netif>((onConnect) => {
    server = serveNetback(driver, device.backPath, { ...options.back, onConnect });
  });
  const front = await createNetfront(guest, device.frontPath, options.front);
  const back = await connected;
  if (server === undefined) throw new TypeError("a promise's executor is called at once");
  return { device, front, back, server };
}

/**
 * What a toolstack writes for a guest's first interface.
 *
 * @param given `mac`: default by the guest's number
 */
export function vifNodes(
  front: SimulatedDomain,
  back: SimulatedDomain,
  given: { readonly mtu?: number; readonly mac?: string } = {},
): Parameters<Toolstack["attach"]>[0] {
  const { mac = macOf(front.id), mtu } = given;
  const nodes: Record<string, string> = { mac, ...(mtu === undefined ? {} : { mtu: String(mtu) }) };
  return { kind: "vif", number: 0, front, back, frontNodes: nodes, backNodes: nodes };
}

/** An address of the range of Xen. */
function macOf(domain: number): string {
  const low = [domain >>> 8, domain & 255].map((byte) => (byte & 255).toString(16).padStart(2, "0"));
  return `00:16:3e:00:${low.join(":")}`;
}
