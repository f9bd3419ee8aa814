// Typed layouts against shifts written by hand and against DataView, over a mix of packets; checksums by several means.

import { bits, flags, i32, ipv4, layout, mac, u16, u32, u8 } from "@tesserae/wire/layout";
import { fold, sum } from "@tesserae/wire/checksum";
import { loop, sink } from "./harness/loop.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";

const ethernet = layout("ethernet", { destination: mac(), source: mac(), etherType: u16() });
const arp = layout("arp", {
  hardwareType: u16(),
  protocolType: u16(),
  hardwareSize: u8(),
  protocolSize: u8(),
  operation: u16(),
  senderMac: mac(),
  senderIp: ipv4(),
  targetMac: mac(),
  targetIp: ipv4(),
});
const ip = layout("ipv4", {
  version: bits(4),
  headerWords: bits(4),
  dscp: bits(6),
  ecn: bits(2),
  totalLength: u16(),
  identification: u16(),
  flags: bits(3),
  fragmentOffset: bits(13),
  ttl: u8(),
  protocol: u8(),
  checksum: u16(),
  source: ipv4(),
  destination: ipv4(),
});
const udp = layout("udp", { sourcePort: u16(), destinationPort: u16(), length: u16(), checksum: u16() });
const tcp = layout("tcp", {
  sourcePort: u16(),
  destinationPort: u16(),
  sequence: i32(),
  acknowledgement: i32(),
  dataOffset: bits(4),
  reserved: bits(4),
  flags: flags(["cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"]),
  window: u16(),
  checksum: u16(),
  urgent: u16(),
});
const icmp = layout("icmp", { type: u8(), code: u8(), checksum: u16(), rest: u32() });

/** One buffer with many frames of four kinds, two bytes into a page each, in a fixed order without a pattern. */
const frameCount = 512;
const stride = 128;
const frames = new Uint8Array(frameCount * stride);
const starts = new Int32Array(frameCount);
{
  let state = 12345;
  const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >>> 8;
  for (let index = 0; index < frameCount; index++) {
    const start = index * stride + (random() & 7);
    starts[index] = start;
    for (let at = 0; at < 100; at++) frames[start + at] = random();
    const kind = random() % 8;
    ethernet.field.etherType.set(frames, start, kind === 0 ? 0x0806 : 0x0800);
    ip.field.version.set(frames, start + 14, 4);
    ip.field.headerWords.set(frames, start + 14, 5);
    ip.field.protocol.set(frames, start + 14, kind < 4 ? 6 : kind < 7 ? 17 : 1);
  }
}

/*
 * Four times the same parser: one function a layer, found by number in a table, as in a stack.
 */

/** Handlers by protocol number: a table, as `Ip.listen` fills. */
function table<H>(tcp: H, udp: H, icmp: H): H[] {
  const handlers = new Array<H>(256).fill(icmp);
  handlers[6] = tcp;
  handlers[17] = udp;
  return handlers;
}

/** Handlers by EtherType. */
function etherTypes<H>(ipv4: H, arp: H): (H | undefined)[] {
  const handlers = new Array<H | undefined>(16).fill(undefined);
  handlers[0] = ipv4;
  handlers[6] = arp;
  return handlers;
}

function handArp(b: Uint8Array, a: number): number {
  let total = (b[a]! << 8) | b[a + 1]!;
  total += (b[a + 6]! << 8) | b[a + 7]!;
  total ^= (b[a + 14]! << 24) | (b[a + 15]! << 16) | (b[a + 16]! << 8) | b[a + 17]!;
  return total ^ ((b[a + 24]! << 24) | (b[a + 25]! << 16) | (b[a + 26]! << 8) | b[a + 27]!);
}

function handUdp(b: Uint8Array, t: number): number {
  let total = (b[t]! << 8) | b[t + 1]!;
  total += (b[t + 2]! << 8) | b[t + 3]!;
  total += (b[t + 4]! << 8) | b[t + 5]!;
  return total + ((b[t + 6]! << 8) | b[t + 7]!);
}

function handTcp(b: Uint8Array, t: number): number {
  let total = (b[t]! << 8) | b[t + 1]!;
  total += (b[t + 2]! << 8) | b[t + 3]!;
  total ^= (b[t + 4]! << 24) | (b[t + 5]! << 16) | (b[t + 6]! << 8) | b[t + 7]!;
  total ^= (b[t + 8]! << 24) | (b[t + 9]! << 16) | (b[t + 10]! << 8) | b[t + 11]!;
  total += b[t + 12]! >>> 4;
  total += b[t + 13]!;
  return total + ((b[t + 14]! << 8) | b[t + 15]!);
}

function handIcmp(b: Uint8Array, t: number): number {
  return b[t]! + b[t + 1]! + ((b[t + 2]! << 8) | b[t + 3]!);
}

const handProtocols = table(handTcp, handUdp, handIcmp);

function handIp(b: Uint8Array, i: number): number {
  if (b[i]! >>> 4 !== 4) return 0;
  const t = i + (b[i]! & 15) * 4;
  let total = (b[i + 2]! << 8) | b[i + 3]!;
  total += ((b[i + 6]! << 8) | b[i + 7]!) & 0x1fff;
  total += b[i + 8]!;
  total ^= (b[i + 12]! << 24) | (b[i + 13]! << 16) | (b[i + 14]! << 8) | b[i + 15]!;
  total ^= (b[i + 16]! << 24) | (b[i + 17]! << 16) | (b[i + 18]! << 8) | b[i + 19]!;
  const protocol = b[i + 9]!;
  return (total + handProtocols[protocol]!(b, t)) | 0;
}

const handTypes = etherTypes(handIp, handArp);

function byHand(): number {
  let total = 0;
  for (let index = 0; index < frameCount; index++) {
    const e = starts[index]!;
    const etherType = (frames[e + 12]! << 8) | frames[e + 13]!;
    total = (total + handTypes[etherType & 15]!(frames, e + 14)) | 0;
  }
  return total;
}

function fieldArp(b: Uint8Array, a: number): number {
  let total = arp.field.hardwareType.get(b, a);
  total += arp.field.operation.get(b, a);
  total ^= arp.field.senderIp.word(b, a);
  return total ^ arp.field.targetIp.word(b, a);
}

function fieldUdp(b: Uint8Array, t: number): number {
  let total = udp.field.sourcePort.get(b, t);
  total += udp.field.destinationPort.get(b, t);
  total += udp.field.length.get(b, t);
  return total + udp.field.checksum.get(b, t);
}

function fieldTcp(b: Uint8Array, t: number): number {
  let total = tcp.field.sourcePort.get(b, t);
  total += tcp.field.destinationPort.get(b, t);
  total ^= tcp.field.sequence.get(b, t);
  total ^= tcp.field.acknowledgement.get(b, t);
  total += tcp.field.dataOffset.get(b, t);
  total += tcp.field.flags.get(b, t);
  return total + tcp.field.window.get(b, t);
}

function fieldIcmp(b: Uint8Array, t: number): number {
  return icmp.field.type.get(b, t) + icmp.field.code.get(b, t) + icmp.field.checksum.get(b, t);
}

const fieldProtocols = table(fieldTcp, fieldUdp, fieldIcmp);

function fieldIp(b: Uint8Array, i: number): number {
  if (ip.field.version.get(b, i) !== 4) return 0;
  const t = i + ip.field.headerWords.get(b, i) * 4;
  let total = ip.field.totalLength.get(b, i);
  total += ip.field.fragmentOffset.get(b, i);
  total += ip.field.ttl.get(b, i);
  total ^= ip.field.source.word(b, i);
  total ^= ip.field.destination.word(b, i);
  const protocol = ip.field.protocol.get(b, i);
  return (total + fieldProtocols[protocol]!(b, t)) | 0;
}

const fieldTypes = etherTypes(fieldIp, fieldArp);

function byField(): number {
  let total = 0;
  for (let index = 0; index < frameCount; index++) {
    const e = starts[index]!;
    const etherType = ethernet.field.etherType.get(frames, e);
    total = (total + fieldTypes[etherType & 15]!(frames, e + 14)) | 0;
  }
  return total;
}

function dataViewArp(v: DataView, a: number): number {
  let total = v.getUint16(a);
  total += v.getUint16(a + 6);
  total ^= v.getInt32(a + 14);
  return total ^ v.getInt32(a + 24);
}

function dataViewUdp(v: DataView, t: number): number {
  return v.getUint16(t) + v.getUint16(t + 2) + v.getUint16(t + 4) + v.getUint16(t + 6);
}

function dataViewTcp(v: DataView, t: number): number {
  let total = v.getUint16(t);
  total += v.getUint16(t + 2);
  total ^= v.getInt32(t + 4);
  total ^= v.getInt32(t + 8);
  total += v.getUint8(t + 12) >>> 4;
  total += v.getUint8(t + 13);
  return total + v.getUint16(t + 14);
}

function dataViewIcmp(v: DataView, t: number): number {
  return v.getUint8(t) + v.getUint8(t + 1) + v.getUint16(t + 2);
}

const dataViewProtocols = table(dataViewTcp, dataViewUdp, dataViewIcmp);

function dataViewIp(v: DataView, i: number): number {
  if (v.getUint8(i) >>> 4 !== 4) return 0;
  const t = i + (v.getUint8(i) & 15) * 4;
  let total = v.getUint16(i + 2);
  total += v.getUint16(i + 6) & 0x1fff;
  total += v.getUint8(i + 8);
  total ^= v.getInt32(i + 12);
  total ^= v.getInt32(i + 16);
  const protocol = v.getUint8(i + 9);
  return (total + dataViewProtocols[protocol]!(v, t)) | 0;
}

const dataView = new DataView(frames.buffer);
const dataViewTypes = etherTypes(dataViewIp, dataViewArp);

function byDataView(): number {
  let total = 0;
  for (let index = 0; index < frameCount; index++) {
    const e = starts[index]!;
    total = (total + dataViewTypes[dataView.getUint16(e + 12) & 15]!(dataView, e + 14)) | 0;
  }
  return total;
}

// Views of addresses give address objects, so the layouts for views have the addresses as integers.
const ethernetView = ethernet.view();
const arpView = layout("arp", {
  hardwareType: u16(),
  protocolType: u16(),
  hardwareSize: u8(),
  protocolSize: u8(),
  operation: u16(),
  senderMac: mac(),
  senderIp: i32(),
  targetMac: mac(),
  targetIp: i32(),
}).view();
const ipView = layout("ipv4", {
  version: bits(4),
  headerWords: bits(4),
  dscp: bits(6),
  ecn: bits(2),
  totalLength: u16(),
  identification: u16(),
  flags: bits(3),
  fragmentOffset: bits(13),
  ttl: u8(),
  protocol: u8(),
  checksum: u16(),
  source: i32(),
  destination: i32(),
}).view();
const udpView = udp.view();
const tcpView = tcp.view();
const icmpView = icmp.view();

function viewArp(b: Uint8Array, a: number): number {
  if (!arpView.attach(b, a, 86)) return 0;
  let total = arpView.hardwareType;
  total += arpView.operation;
  total ^= arpView.senderIp;
  return total ^ arpView.targetIp;
}

function viewUdp(b: Uint8Array, t: number): number {
  if (!udpView.attach(b, t, 66)) return 0;
  return udpView.sourcePort + udpView.destinationPort + udpView.length + udpView.checksum;
}

function viewTcp(b: Uint8Array, t: number): number {
  if (!tcpView.attach(b, t, 66)) return 0;
  let total = tcpView.sourcePort;
  total += tcpView.destinationPort;
  total ^= tcpView.sequence;
  total ^= tcpView.acknowledgement;
  total += tcpView.dataOffset;
  total += tcpView.flags;
  return total + tcpView.window;
}

function viewIcmp(b: Uint8Array, t: number): number {
  if (!icmpView.attach(b, t, 66)) return 0;
  return icmpView.type + icmpView.code + icmpView.checksum;
}

const viewProtocols = table(viewTcp, viewUdp, viewIcmp);

function viewIp(b: Uint8Array, i: number): number {
  if (!ipView.attach(b, i, 86) || ipView.version !== 4) return 0;
  const t = i + ipView.headerWords * 4;
  let total = ipView.totalLength;
  total += ipView.fragmentOffset;
  total += ipView.ttl;
  total ^= ipView.source;
  total ^= ipView.destination;
  const protocol = ipView.protocol;
  return (total + viewProtocols[protocol]!(b, t)) | 0;
}

const viewTypes = etherTypes(viewIp, viewArp);

function byView(): number {
  let total = 0;
  for (let index = 0; index < frameCount; index++) {
    const e = starts[index]!;
    if (!ethernetView.attach(frames, e, 100)) continue;
    total = (total + viewTypes[ethernetView.etherType & 15]!(frames, e + 14)) | 0;
  }
  return total;
}

/*
 * Writing an IPv4 and a TCP header, as a sender does for every segment.
 */

const out = new Uint8Array(64);
const outView = new DataView(out.buffer);
const source = 0x0a000001;
const destination = 0x0a000002;
const repeat = 256;

type Write = (at: number, n: number) => void;

/** Headers are written one layer after the other, each by a function that the layer below does not know. */
function emitter(writeTcp: Write, writeIp: Write): () => number {
  return () => {
    for (let n = 0; n < repeat; n++) {
      writeTcp((n & 7) + 20, n);
      writeIp(n & 7, n);
    }
    return out[30]!;
  };
}

function handWriteIp(at: number, n: number): void {
  const b = out;
  b[at] = 0x45;
  b[at + 1] = 0;
  b[at + 2] = (40 + n) >>> 8;
  b[at + 3] = 40 + n;
  b[at + 4] = n >>> 8;
  b[at + 5] = n;
  b[at + 6] = 0x40;
  b[at + 7] = 0;
  b[at + 8] = 64;
  b[at + 9] = 6;
  b[at + 10] = 0;
  b[at + 11] = 0;
  b[at + 12] = source >>> 24;
  b[at + 13] = source >>> 16;
  b[at + 14] = source >>> 8;
  b[at + 15] = source;
  b[at + 16] = destination >>> 24;
  b[at + 17] = destination >>> 16;
  b[at + 18] = destination >>> 8;
  b[at + 19] = destination;
}

function handWriteTcp(t: number, n: number): void {
  const b = out;
  b[t] = 443 >>> 8;
  b[t + 1] = 443;
  b[t + 2] = n >>> 8;
  b[t + 3] = n;
  b[t + 4] = n >>> 24;
  b[t + 5] = n >>> 16;
  b[t + 6] = n >>> 8;
  b[t + 7] = n;
  b[t + 8] = n >>> 24;
  b[t + 9] = n >>> 16;
  b[t + 10] = n >>> 8;
  b[t + 11] = n;
  b[t + 12] = 5 << 4;
  b[t + 13] = 0x18;
  b[t + 14] = n >>> 8;
  b[t + 15] = n;
}

function writeIp(at: number, n: number): void {
  ip.field.version.set(out, at, 4);
  ip.field.headerWords.set(out, at, 5);
  ip.field.dscp.set(out, at, 0);
  ip.field.ecn.set(out, at, 0);
  ip.field.totalLength.set(out, at, 40 + n);
  ip.field.identification.set(out, at, n);
  ip.field.flags.set(out, at, 2);
  ip.field.fragmentOffset.set(out, at, 0);
  ip.field.ttl.set(out, at, 64);
  ip.field.protocol.set(out, at, 6);
  ip.field.checksum.set(out, at, 0);
  ip.field.source.setWord(out, at, source);
  ip.field.destination.setWord(out, at, destination);
}

function writeTcp(t: number, n: number): void {
  tcp.field.sourcePort.set(out, t, 443);
  tcp.field.destinationPort.set(out, t, n);
  tcp.field.sequence.set(out, t, n);
  tcp.field.acknowledgement.set(out, t, n);
  tcp.field.dataOffset.set(out, t, 5);
  tcp.field.reserved.set(out, t, 0);
  tcp.field.flags.set(out, t, 0x18);
  tcp.field.window.set(out, t, n);
}

// A sender that writes bytes shared by two fields as one: setting bits means reading the byte first.
const ipOut = layout("ipv4", {
  versionAndLength: u8(),
  dscpAndEcn: u8(),
  totalLength: u16(),
  identification: u16(),
  flagsAndOffset: u16(),
  ttl: u8(),
  protocol: u8(),
  checksum: u16(),
  source: i32(),
  destination: i32(),
});
const tcpOut = layout("tcp", {
  sourcePort: u16(),
  destinationPort: u16(),
  sequence: i32(),
  acknowledgement: i32(),
  dataOffset: u8(),
  flags: u8(),
  window: u16(),
});

function writeIpWhole(at: number, n: number): void {
  ipOut.field.versionAndLength.set(out, at, 0x45);
  ipOut.field.dscpAndEcn.set(out, at, 0);
  ipOut.field.totalLength.set(out, at, 40 + n);
  ipOut.field.identification.set(out, at, n);
  ipOut.field.flagsAndOffset.set(out, at, 0x4000);
  ipOut.field.ttl.set(out, at, 64);
  ipOut.field.protocol.set(out, at, 6);
  ipOut.field.checksum.set(out, at, 0);
  ipOut.field.source.set(out, at, source);
  ipOut.field.destination.set(out, at, destination);
}

function writeTcpWhole(t: number, n: number): void {
  tcpOut.field.sourcePort.set(out, t, 443);
  tcpOut.field.destinationPort.set(out, t, n);
  tcpOut.field.sequence.set(out, t, n);
  tcpOut.field.acknowledgement.set(out, t, n);
  tcpOut.field.dataOffset.set(out, t, 5 << 4);
  tcpOut.field.flags.set(out, t, 0x18);
  tcpOut.field.window.set(out, t, n);
}

function dataViewWriteIp(at: number, n: number): void {
  const v = outView;
  v.setUint16(at, 0x4500);
  v.setUint16(at + 2, 40 + n);
  v.setUint16(at + 4, n);
  v.setUint16(at + 6, 0x4000);
  v.setUint8(at + 8, 64);
  v.setUint8(at + 9, 6);
  v.setUint16(at + 10, 0);
  v.setInt32(at + 12, source);
  v.setInt32(at + 16, destination);
}

function dataViewWriteTcp(t: number, n: number): void {
  const v = outView;
  v.setUint16(t, 443);
  v.setUint16(t + 2, n);
  v.setInt32(t + 4, n);
  v.setInt32(t + 8, n);
  v.setUint16(t + 12, (5 << 12) | 0x18);
  v.setUint16(t + 14, n);
}

const emitByHand = emitter(handWriteTcp, handWriteIp);
const emitByField = emitter(writeTcp, writeIp);
const emitByWholeBytes = emitter(writeTcpWhole, writeIpWhole);
const emitByDataView = emitter(dataViewWriteTcp, dataViewWriteIp);

/*
 * Checksums, over packets in the pages of one pool, two bytes off a word boundary like every IP header behind Ethernet.
 */

const pages = Array.from({ length: 32 }, (_, page) => new Uint8Array(frames.buffer, page * 2048, 2048));

function overPages(length: number, each: (bytes: Uint8Array, offset: number, length: number) => number): () => number {
  return () => {
    let total = 0;
    for (const bytes of pages) total = (total + fold(each(bytes, 2, length))) | 0;
    return total;
  };
}

/** Word by word, as in RFC 1071 §4.1. */
function sumWordByWord(bytes: Uint8Array, offset: number, length: number): number {
  let total = 0;
  let at = offset;
  const end = offset + length;
  for (; at < end - 1; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return total;
}

/** Four accumulators, so that additions do not wait for each other. */
function sumFourWays(bytes: Uint8Array, offset: number, length: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = offset;
  const end = offset + length;
  for (; at < end - 7; at += 8) {
    a += (bytes[at]! << 8) | bytes[at + 1]!;
    b += (bytes[at + 2]! << 8) | bytes[at + 3]!;
    c += (bytes[at + 4]! << 8) | bytes[at + 5]!;
    d += (bytes[at + 6]! << 8) | bytes[at + 7]!;
  }
  return a + b + c + d + sumWordByWord(bytes, at, end - at);
}

/** One `Int32Array` over the pool, for data that happens to be aligned (here: after a first half word). */
const poolWords = new Int32Array(frames.buffer);
function sumAlignedWords(bytes: Uint8Array, offset: number, length: number): number {
  let at = offset;
  const end = offset + length;
  let total = 0;
  // In the order of the machine, then swapped: the sum does not care (RFC 1071 §2 B).
  for (; (bytes.byteOffset + at) & 3 && at < end - 1; at += 2) total += bytes[at]! | (bytes[at + 1]! << 8);
  let word = (bytes.byteOffset + at) >>> 2;
  let high = 0;
  let low = 0;
  for (; at < end - 3; at += 4) {
    const bits = poolWords[word++]!;
    high += bits >>> 16;
    low += bits & 0xffff;
  }
  for (; at < end - 1; at += 2) total += bytes[at]! | (bytes[at + 1]! << 8);
  if (at < end) total += bytes[at]!;
  const folded = fold(total + high + low);
  return ((folded & 0xff) << 8) | (folded >>> 8);
}

function checksumRace(length: number): Race {
  const rival = "word by word";
  const contender = (name: string, each: typeof sumWordByWord) => loop(name, pages.length, overPages(length, each));
  const ways = { "four accumulators": sumFourWays, "aligned Int32Array": sumAlignedWords, "checksum.sum": sum };
  for (const [name, way] of Object.entries(ways)) {
    if (overPages(length, way)() !== overPages(length, sumWordByWord)()) throw new Error(`${name} sums wrongly`);
  }
  return {
    name: `checksum of ${length} bytes`,
    unit: "packets/s",
    rival,
    contenders: [contender(rival, sumWordByWord), ...Object.entries(ways).map(([name, way]) => contender(name, way))],
  };
}

for (const [name, other] of Object.entries({ byField, byDataView, byView })) {
  if (other() !== byHand()) throw new Error(`${name} reads other values than byHand`);
}

for (const [name, other] of Object.entries({ emitByField, emitByWholeBytes, emitByDataView })) {
  out.fill(0);
  emitByHand();
  const expected = out.slice();
  out.fill(0);
  other();
  if (!expected.every((byte, index) => byte === out[index])) throw new Error(`${name} writes other bytes`);
}

const byHandName = "hand-written shifts";
await main([
  {
    name: "parse",
    unit: "packets/s",
    rival: byHandName,
    contenders: [
      loop(byHandName, frameCount, byHand),
      loop("layout fields", frameCount, byField),
      loop("layout views", frameCount, byView),
      loop("DataView", frameCount, byDataView),
    ],
  },
  {
    name: "emit",
    unit: "packets/s",
    rival: byHandName,
    contenders: [
      loop(byHandName, repeat, emitByHand),
      loop("layout fields", repeat, emitByField),
      loop("layout fields of whole bytes", repeat, emitByWholeBytes),
      loop("DataView", repeat, emitByDataView),
    ],
  },
  checksumRace(20),
  checksumRace(128),
  checksumRace(1480),
]);
if (sink.value === 0x5eed) console.error("unlikely");
