import { IpAddress, MacAddress } from "@tesserae/device/address";
import { arp } from "@tesserae/tcpip/arp/wire";
import { ethernet } from "@tesserae/tcpip/ethernet/wire";
import { icmp } from "@tesserae/tcpip/icmp/wire";
import { ipv4 } from "@tesserae/tcpip/ipv4/wire";
import { header as tcp } from "@tesserae/tcpip/tcp/wire";
import { udp } from "@tesserae/tcpip/udp/wire";
import { checksum } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FrameEvent } from "./event.ts";
import { frameText, tcpFacts } from "./frame-text.ts";
import { Timeline } from "./timeline.ts";
import { TextTrace } from "./trace.ts";

const source = IpAddress.parse("10.0.0.1");
const destination = IpAddress.parse("10.0.0.2");
const mac = MacAddress.parse("02:00:00:00:00:01");

function frame(etherType: number, ...parts: Uint8Array[]): Uint8Array {
  const head = new Uint8Array(ethernet.size);
  MacAddress.parse("02:00:00:00:00:02").write(head, 0);
  mac.write(head, 6);
  ethernet.field.etherType.set(head, 0, etherType);
  return new Uint8Array(Buffer.concat([head, ...parts]));
}

function packet(protocol: number, payload: Uint8Array, fragmentOffset = 0, more = false): Uint8Array {
  const head = new Uint8Array(ipv4.size);
  const { field } = ipv4;
  field.version.set(head, 0, 4);
  field.headerLength.set(head, 0, 5);
  field.totalLength.set(head, 0, ipv4.size + payload.length);
  field.identification.set(head, 0, 77);
  field.moreFragments.set(head, 0, more);
  field.fragmentOffset.set(head, 0, fragmentOffset);
  field.timeToLive.set(head, 0, 64);
  field.protocol.set(head, 0, protocol);
  field.source.set(head, 0, source);
  field.destination.set(head, 0, destination);
  field.checksum.set(head, 0, checksum(head, 0, head.length));
  return frame(0x0800, head, payload);
}

interface Segment {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly payload?: number;
  readonly options?: readonly number[];
}

function segment({ flags, sequence, acknowledgement = 0, payload = 0, options = [] }: Segment): Uint8Array {
  const bytes = new Uint8Array(tcp.size + options.length + payload);
  tcp.field.sourcePort.set(bytes, 0, 80);
  tcp.field.destinationPort.set(bytes, 0, 40_000);
  tcp.field.sequence.set(bytes, 0, sequence);
  tcp.field.acknowledgement.set(bytes, 0, acknowledgement);
  tcp.field.dataOffset.set(bytes, 0, (tcp.size + options.length) / 4);
  bytes[13] = flags;
  tcp.field.window.set(bytes, 0, 1000);
  bytes.set(options, tcp.size);
  return packet(6, bytes);
}

function datagram(from: number, to: number, payload: Uint8Array): Uint8Array {
  const head = new Uint8Array(udp.size);
  udp.field.sourcePort.set(head, 0, from);
  udp.field.destinationPort.set(head, 0, to);
  udp.field.length.set(head, 0, udp.size + payload.length);
  return packet(17, new Uint8Array(Buffer.concat([head, payload])));
}

function arpMessage(operation: number, sender: string, target: string): Uint8Array {
  const bytes = new Uint8Array(arp.size);
  arp.field.hardwareType.set(bytes, 0, 1);
  arp.field.protocolType.set(bytes, 0, 0x0800);
  arp.field.hardwareSize.set(bytes, 0, 6);
  arp.field.protocolSize.set(bytes, 0, 4);
  arp.field.operation.set(bytes, 0, operation);
  mac.write(bytes, arp.field.senderMac.offset);
  arp.field.senderIp.set(bytes, 0, IpAddress.parse(sender));
  arp.field.targetIp.set(bytes, 0, IpAddress.parse(target));
  return frame(0x0806, bytes);
}

function echo(type: number): Uint8Array {
  const bytes = new Uint8Array(icmp.size + 56);
  icmp.field.type.set(bytes, 0, type);
  icmp.field.identifier.set(bytes, 0, 3);
  icmp.field.sequence.set(bytes, 0, 4);
  return packet(1, bytes);
}

const discover = new Uint8Array(300);
discover.set([0x63, 0x82, 0x53, 0x63], 236);
discover.set([0, 61, 1, 9, 53, 1, 1, 255], 240);

describe("one line about a frame", () => {
  test.each([
    [arpMessage(1, "10.0.0.1", "10.0.0.2"), "ARP who-has 10.0.0.2 tell 10.0.0.1"],
    [arpMessage(1, "0.0.0.0", "10.0.0.2"), "ARP probe 10.0.0.2"],
    [arpMessage(1, "10.0.0.1", "10.0.0.1"), "ARP announce 10.0.0.1"],
    [arpMessage(2, "10.0.0.1", "10.0.0.2"), "ARP 10.0.0.1 is-at 02:00:00:00:00:01"],
    [
      segment({ flags: 2, sequence: 4e9, options: [2, 4, 5, 180, 1, 3, 3, 7] }),
      "TCP 10.0.0.1:80 > 10.0.0.2:40000 [S] seq=4000000000 win=1000 len=0 mss=1460 ws=7",
    ],
    [
      segment({ flags: 0x18, sequence: 1, acknowledgement: 9, payload: 5 }),
      "TCP 10.0.0.1:80 > 10.0.0.2:40000 [P.] seq=1 ack=9 win=1000 len=5",
    ],
    [segment({ flags: 0, sequence: 1 }), "TCP 10.0.0.1:80 > 10.0.0.2:40000 [none] seq=1 win=1000 len=0"],
    [datagram(53, 4000, new Uint8Array(12)), "UDP 10.0.0.1:53 > 10.0.0.2:4000 len=12"],
    [datagram(68, 67, discover), "DHCP 10.0.0.1:68 > 10.0.0.2:67 discover"],
    [echo(8), "ICMP 10.0.0.1 > 10.0.0.2 echo-request id=3 seq=4 len=56"],
    [echo(3), "ICMP 10.0.0.1 > 10.0.0.2 unreachable code=0 len=56"],
    [packet(17, new Uint8Array(64), 185), "IPv4 10.0.0.1 > 10.0.0.2 fragment id=77 at=1480 len=64 protocol=17"],
    [packet(17, new Uint8Array(64), 0, true), "IPv4 10.0.0.1 > 10.0.0.2 fragment id=77 at=0 len=64+ protocol=17"],
    [packet(99, new Uint8Array(3)), "IPv4 10.0.0.1 > 10.0.0.2 protocol=99 len=3"],
    [packet(6, new Uint8Array(3)), "TCP 10.0.0.1 > 10.0.0.2 malformed, len=3"],
    [frame(0x88cc, new Uint8Array(40)), "ethernet 02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88cc len=40"],
    [frame(0x0800, new Uint8Array(10)), "IPv4 bad truncated, len=10"],
    [new Uint8Array(5), "runt of 5 bytes"],
    [frame(0x86dd, new Uint8Array(40)), "IPv6 bad version, len=40"],
  ])("%#: %j", (bytes, text) => {
    expect(frameText(bytes, 0, bytes.length)).toBe(text);
    const shifted = new Uint8Array(bytes.length + 9);
    shifted.set(bytes, 7);
    expect(frameText(shifted, 7, bytes.length)).toBe(text);
  });

  test("never throws, whatever the bytes", () => {
    const seeds = [segment({ flags: 2, sequence: 1, options: [2, 4, 5, 180] }), datagram(68, 67, discover), echo(8)];
    const mutated = fc
      .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(400), fc.nat(255))), fc.nat(400))
      .map(([seed, changes, length]) => {
        const bytes = seed.slice();
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes.subarray(0, length);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated), (bytes) => {
        expect(frameText(bytes, 0, bytes.length)).not.toContain("\n");
        tcpFacts(bytes, 0, bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a picture of a run", () => {
  const syn = segment({ flags: 2, sequence: 1000 });
  const event = (
    kind: FrameEvent["kind"],
    time: number,
    place: string,
    number: number,
    bytes: Uint8Array,
    reason?: FrameEvent["reason"],
  ): FrameEvent => ({
    kind,
    time,
    place,
    interfaceId: 0,
    frame: number,
    reason,
    bytes,
    offset: 0,
    length: bytes.length,
  });
  const data = segment({ flags: 0x18, sequence: 1001, payload: 10 });
  const events = [
    event("sent", 0, "a", 1, syn),
    event("received", 50, "b", 1, syn),
    event("sent", 60, "a", 2, data),
    event("dropped", 60, "a>lan", 2, data, "loss"),
    event("sent", 260, "a", 3, data),
    event("duplicated", 260, "a>lan", 3, data),
    event("received", 310, "b", 3, data),
    event("received", 310, "b", 3, data),
  ];

  test("as a ladder", () => {
    const timeline = new Timeline({ width: 90 });
    for (const each of events) timeline.frame(each);
    timeline.note(320, "b", "got it");
    expect(`\n${timeline.toString()}\n`).toMatchInlineSnapshot(`
      "
                ms  a                                                            b
             0.000  |--- [S] seq=0 win=1000 ------------------------------------>|      50.000
            60.000  |--- [P.] seq=1-11 ack=0 win=1000 lost ----------X           |
           260.000  |--- [P.] seq=1-11 ack=0 win=1000 (again) duplicated, again >|     310.000
           320.000 b: got it
      "
    `);
  });

  test("as a trace", () => {
    const lines: string[] = [];
    const trace = new TextTrace((line) => lines.push(line));
    for (const each of events.slice(0, 4)) trace.frame(each);
    trace.note(5, "", "begin x");
    expect(`\n${lines.join("\n")}\n`).toMatchInlineSnapshot(`
      "
      0.000000 a sends #1 TCP 10.0.0.1:80 > 10.0.0.2:40000 [S] seq=1000 win=1000 len=0
      50.000000 b gets #1 TCP 10.0.0.1:80 > 10.0.0.2:40000 [S] seq=1000 win=1000 len=0
      60.000000 a sends #2 TCP 10.0.0.1:80 > 10.0.0.2:40000 [P.] seq=1001 ack=0 win=1000 len=10
      60.000000 a>lan drops #2 (lost) TCP 10.0.0.1:80 > 10.0.0.2:40000 [P.] seq=1001 ack=0 win=1000 len=10
      5.000000 world | begin x
      "
    `);
  });

  test("of a long run, the beginning and the end are kept", () => {
    const timeline = new Timeline({ limit: 10, onlyTcp: false });
    for (let number = 1; number <= 1000; number++) {
      timeline.frame(event("sent", number, "a", number, arpMessage(1, "10.0.0.1", "10.0.0.2")));
    }
    const lines = timeline.toString().split("\n");
    expect(lines.length).toBeLessThan(20);
    expect(lines[0]).toMatch(/^ +1\.000 {2}a > \? {2}ARP who-has/);
    expect(lines.at(-1)).toMatch(/^ +1000\.000 {2}a/);
    expect(lines.join()).toMatch(/… \d+ more …/);
    const shown = lines.filter((line) => line.includes("ARP")).length;
    expect(shown + Number(/(\d+) more/.exec(lines.join())![1])).toBe(1000);
  });
});
