// Answers of the name server from frame to frame: the whole stack and the server, on an interface in memory, without a
// kernel. What is measured is processor time, so that a machine with other work disturbs it less. The rival is an echo on
// the same interface, through the same stack: what is left is what looking up an answer costs.
//   npm run bench -- dns-frames
import process from "node:process";
import { MacAddress, Prefix } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import { checksumVerified, Page, PagePool } from "@tesserae/device/page";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { recordType } from "@tesserae/dns/wire";
import { inlineDeeply } from "@tesserae/node/engine";
import { holdClock, releaseClock } from "@tesserae/node/process-clock";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { arp, arpRequest } from "@tesserae/tcpip/arp/wire";
import { ethernet, etherTypeArp, etherTypeIpv4 } from "@tesserae/tcpip/ethernet/wire";
import { ipv4 } from "@tesserae/tcpip/ipv4/wire";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { udp } from "@tesserae/tcpip/udp/wire";
import { checksum } from "@tesserae/wire/checksum";
import { madeQuery, madeZone } from "./dns/made-zone.ts";
import { pseudoRandom } from "./dns/zone.ts";
import { apex, hostName } from "./dns/zone-text.ts";
import { main } from "./harness/main.ts";
import type { Contender } from "./harness/race.ts";

const hosts = 10_000;
const batch = 64;
const count = 312 * batch;
/** Bytes for each frame that is received. */
const stride = 192;
const ours = { mac: MacAddress.parse("02:00:00:00:08:01"), prefix: Prefix.parse("10.8.0.1/24") };
const theirs = { mac: MacAddress.parse("02:00:00:00:08:02"), prefix: Prefix.parse("10.8.0.2/24") };
const nonceLength = 7;

/** Takes frames 64 at a time, as AF_XDP gives them, and drops what is sent. */
class BatchNetif implements Netif {
  readonly name = "memory";
  readonly mac = ours.mac;
  readonly mtu = 1500;
  readonly features: NetifFeatures = { transmitChecksum: false, maxSegmentation: 0 };
  readonly statistics: NetifStatistics = {
    ...{ receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0, droppedFrames: 0 },
  };
  sent = 0;
  readonly #pool = new PagePool(2 * batch, 2048);
  readonly #received = new Page(new Uint8Array(batch * stride), 0);
  readonly #out: Page[] = [];
  #handler: FrameHandler = () => undefined;

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(): Page | undefined {
    return this.#pool.take();
  }

  transmit(page: Page): boolean {
    this.sent++;
    this.#out.push(page);
    return true;
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Frame `index` of `frames` is at `index * stride`, and `lengths[index]` long. */
  receive(frames: Uint8Array, lengths: Int32Array, first: number, some: number): void {
    const page = this.#received;
    page.bytes.set(frames.subarray(first * stride, (first + some) * stride));
    holdClock();
    for (let index = 0; index < some; index++) {
      page.reset();
      page.flags = checksumVerified;
      this.#handler(page, index * stride, lengths[first + index] ?? 0);
    }
    releaseClock();
    for (const each of this.#out) this.#pool.release(each);
    this.#out.length = 0;
  }
}

function request(): Uint8Array {
  const bytes = new Uint8Array(stride);
  ethernet.emit({ destination: MacAddress.broadcast, source: theirs.mac, etherType: etherTypeArp }, bytes);
  const addresses = { senderIp: theirs.prefix.address, targetIp: ours.prefix.address };
  const macs = { senderMac: theirs.mac, targetMac: MacAddress.parse("00:00:00:00:00:00") };
  const kinds = {
    hardwareType: 1,
    protocolType: etherTypeIpv4,
    hardwareSize: 6,
    protocolSize: 4,
    operation: arpRequest,
  };
  arp.emit({ ...kinds, ...addresses, ...macs }, bytes, ethernet.size);
  return bytes;
}

/** Writes a frame with a query. How long it is. */
function put(frames: Uint8Array, at: number, query: Uint8Array, number: number): number {
  const length = ipv4.size + udp.size + query.length;
  ethernet.emit({ destination: ours.mac, source: theirs.mac, etherType: etherTypeIpv4 }, frames, at);
  const header = at + ethernet.size;
  const { field } = ipv4;
  frames[header] = 0x45;
  field.totalLength.set(frames, header, length);
  field.timeToLive.set(frames, header, 64);
  field.protocol.set(frames, header, 17);
  field.source.set(frames, header, theirs.prefix.address);
  field.destination.set(frames, header, ours.prefix.address);
  field.checksum.set(frames, header, checksum(frames, header, ipv4.size));
  const ports = { sourcePort: 20_000 + (number % 16), destinationPort: 53 };
  udp.emit({ ...ports, length: length - ipv4.size, checksum: 1 }, frames, header + ipv4.size);
  frames.set(query, header + ipv4.size + udp.size);
  new DataView(frames.buffer).setUint16(header + ipv4.size + udp.size, number & 0xffff);
  return ethernet.size + length;
}

/** @param missing the share of names that are not there, and others each time; undefined: an echo */
async function contender(name: string, missing: number | undefined, signed: boolean): Promise<Contender> {
  const netif = new BatchNetif();
  const timers = createTimers();
  const random = createRandom();
  const stack = await createStack({ netif, timers, random, ipv4: { kind: "static", address: ours.prefix } });
  netif.receive(request(), Int32Array.of(42), 0, 1);
  if (missing === undefined) {
    const socket = await stack.udp.bind({ port: 53 }, ({ bytes, offset, length, source, sourcePort }) => {
      bytes[offset + 2] = 0x84;
      socket.send(bytes, offset, length, source, sourcePort);
    });
  } else {
    const zones = new Zones();
    zones.replace(madeZone(hosts, signed));
    await createNameServer({ udp: stack.udp, tcp: stack.tcp, timers, random, zones, rateLimit: false });
  }
  const draw = pseudoRandom(77);
  const frames = new Uint8Array(count * stride);
  const lengths = new Int32Array(count);
  const nonces: number[] = [];
  for (let index = 0; index < count; index++) {
    const isThere = draw() / 2 ** 32 >= (missing ?? 0);
    const query = madeQuery(isThere ? hostName(draw() % hosts) : `xxxxxxx-.${apex}`, recordType.A, signed);
    lengths[index] = put(frames, index * stride, query, index);
    if (!isThere) nonces.push(index * stride + ethernet.size + ipv4.size + udp.size + 13);
  }
  return {
    name,
    measure() {
      for (const at of nonces) {
        for (let letter = 0, bits = draw(); letter < nonceLength; letter++, bits >>>= 4) {
          frames[at + letter] = 0x61 + (bits & 15);
        }
      }
      const before = netif.sent;
      const since = process.cpuUsage();
      for (let first = 0; first < count; first += batch) netif.receive(frames, lengths, first, batch);
      const { user, system } = process.cpuUsage(since);
      // ARP may have had something to say, too.
      if (netif.sent - before < count) throw new Error(`${name}: ${netif.sent - before} answers of ${count}`);
      return (count * 1e6) / (user + system);
    },
  };
}

inlineDeeply();
await main(
  [
    {
      name: "frames in, frames out, zone of 10,000",
      unit: "answers/s",
      rival: "echo",
      contenders: [
        await contender("echo", undefined, false),
        await contender("existing names", 0, false),
        await contender("random names, NXDOMAIN", 1, false),
        await contender("DNSSEC, existing names", 0, true),
        await contender("DNSSEC, 3 in 10 NXDOMAIN", 0.3, true),
      ],
    },
  ],
  15,
);
process.exit();
