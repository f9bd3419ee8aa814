// A process with our name server in it: on the kernel's sockets, or with our stack on a tap device or on AF_XDP. What it
// is to be stands in TESSERAE_NAME_SERVER, as JSON.
import process from "node:process";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { Journal } from "@tesserae/dns/transfer/journal";
import { Maintenance } from "@tesserae/dns/transfer/maintenance";
import { ZonePolicies } from "@tesserae/dns/transfer/policy";
import { createCrypto } from "@tesserae/node/crypto";
import { inlineDeeply } from "@tesserae/node/engine";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createXdp } from "@tesserae/tap/xdp/netif";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { loadZone } from "./load-zone.ts";
import type { ServedZone } from "./name-server.ts";

export type OwnDevice = "sockets" | "tap" | "xdp";

export interface OwnServing {
  readonly device: OwnDevice;
  /** Of the interface, when there is one. */
  readonly interface: string;
  readonly address: string;
  /** The kernel's address at the other end of a tap device. */
  readonly peer: string;
  readonly port: number;
  readonly zones: readonly ServedZone[];
  /** Sends every query back as its answer, from the same device: the ceiling. */
  readonly echo?: boolean;
}

async function stackOn({ device, interface: name, address, peer }: OwnServing): Promise<Stack> {
  if (device === "sockets") return createKernelStack();
  const netif =
    device === "tap" ? await createTap({ name, hostAddress: Prefix.parse(`${peer}/24`) }) : await createXdp({ name });
  const ipv4 = { kind: "static", address: Prefix.parse(`${address}/24`) } as const;
  return createStack({ netif, timers: createTimers(), random: createRandom(), ipv4 });
}

async function serve(serving: OwnServing): Promise<void> {
  inlineDeeply();
  const { port, address, device } = serving;
  const zones = new Zones();
  for (const zone of serving.zones) zones.replace(loadZone(zone));
  const { udp, tcp } = await stackOn(serving);
  const where = { port, ...(device === "sockets" ? { address: IpAddress.parse(address) } : {}) };
  if (serving.echo === true) {
    const socket = await udp.bind(where, ({ bytes, offset, length, source, sourcePort }) => {
      // A response without an error, so that the generator takes it for an answer.
      bytes[offset + 2] = 0x84;
      bytes[offset + 3] = 0;
      socket.send(bytes, offset, length, source, sourcePort);
    });
    return;
  }
  const text = (words: string): Uint8Array => new TextEncoder().encode(words);
  const timers = createTimers();
  const transfers = new Maintenance({
    ...{ zones, timers, crypto: createCrypto(), journal: new Journal({ zones }) },
    policies: new ZonePolicies({ transfer: [{}] }),
  });
  await createNameServer({
    extensions: [transfers],
    ...{ udp, tcp, timers, random: createRandom(), zones, rateLimit: false, nsid: text("nameserver") },
    ...{ version: "test", ...where },
  });
}

const wanted = process.env["TESSERAE_NAME_SERVER"];
// as: whoever starts this process wrote it
if (wanted !== undefined) await serve(JSON.parse(wanted) as OwnServing);
