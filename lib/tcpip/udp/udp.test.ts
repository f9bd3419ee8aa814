import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import { describe, expect, test } from "vitest";
import { ipv4 } from "../ipv4/wire.ts";
import { createStack } from "../stack/stack.ts";
import { udp } from "./wire.ts";

const us = IpAddress.parse("10.0.0.1");
const peerIp = IpAddress.parse("10.0.0.2");
const payload = Uint8Array.of(1, 2, 3, 4, 5);

interface Changes {
  readonly checksum?: "none" | "wrong";
  readonly length?: number;
  readonly extra?: number;
  readonly destination?: IpAddress;
  readonly port?: number;
}

/** A frame from 10.0.0.2:9 to 10.0.0.1:7. */
function frame(changes: Changes = {}): Uint8Array {
  const { destination = us, extra = 0, port = 7 } = changes;
  const length = changes.length ?? 8 + payload.length;
  const bytes = new Uint8Array(34 + 8 + payload.length + extra);
  (destination.equals(us) ? new MacAddress(0x0200, 1) : MacAddress.broadcast).write(bytes, 0);
  new MacAddress(0x0200, 2).write(bytes, 6);
  bytes.set([8, 0, 0x45], 12);
  const { field } = ipv4;
  field.totalLength.set(bytes, 14, bytes.length - 14);
  field.timeToLive.set(bytes, 14, 64);
  field.protocol.set(bytes, 14, 17);
  field.source.set(bytes, 14, peerIp);
  field.destination.set(bytes, 14, destination);
  field.checksum.set(bytes, 14, checksum(bytes, 14, 20));
  udp.emit({ sourcePort: 9, destinationPort: port, length, checksum: 0 }, bytes, 34);
  bytes.set(payload, 42);
  if (changes.checksum !== "none") {
    const sum = checksum(bytes, 34, length, pseudoHeaderSum4(peerIp.w3, destination.w3, 17, length));
    udp.field.checksum.set(bytes, 34, changes.checksum === "wrong" ? sum ^ 1 : sum);
  }
  return bytes;
}

async function setup() {
  const timers = new Scheduler(new VirtualClock());
  const link = createLink({ timers });
  const peer = new FramePeer(link.b);
  const errors: unknown[] = [];
  const stack = await createStack({
    netif: link.a,
    timers,
    random: new SeededRandom(1),
    ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
    onError: (error) => errors.push(error),
  });
  const run = (): void => {
    for (let turn = 0; turn < 4; turn++) timers.run();
  };
  const receive = (bytes: Uint8Array): void => {
    peer.send(bytes);
    run();
  };
  const heard = (): Uint8Array[] => {
    run();
    return peer.take().filter((each) => each[13] === 0);
  };
  return { stack, receive, heard, errors };
}

describe("RFC 768: datagrams", () => {
  test("one arrives with its ends and its payload", async () => {
    const { stack, receive } = await setup();
    const got: unknown[] = [];
    await stack.udp.bind({ port: 7 }, ({ bytes, offset, length, source, sourcePort, destination }) =>
      got.push([source.toString(), sourcePort, destination.toString(), bytes.slice(offset, offset + length)]),
    );
    receive(frame());
    receive(frame({ checksum: "none" }));
    // The packet may be longer than the datagram in it.
    receive(frame({ extra: 3 }));
    const expected = ["10.0.0.2", 9, "10.0.0.1", payload];
    expect(got).toEqual([expected, expected, expected]);
  });

  test.each<[string, Changes, string]>([
    ["a wrong checksum", { checksum: "wrong" }, "badChecksum"],
    ["a length beyond the packet", { length: 14, extra: 0 }, "malformed"],
    ["a length below the header", { length: 7 }, "malformed"],
  ])("%s is dropped and counted", async (_, changes, counter) => {
    const { stack, receive, heard } = await setup();
    const socket = await stack.udp.bind({ port: 7 }, () => expect.unreachable());
    receive(frame(changes));
    expect(stack.statistics.udp).toMatchObject({ [counter]: 1, delivered: 0 });
    expect(heard()).toEqual([]);
    await socket.close();
  });

  test("what is sent has a checksum, and never 0 for one", async () => {
    const { stack, heard } = await setup();
    const socket = await stack.udp.bind({ port: 9 }, () => undefined);
    const sums = new Set<number>();
    // Among all values of one word of the payload there is one for which the sum comes out as 0.
    for (let value = 0; value < 0x10000; value++) {
      socket.send(Uint8Array.of(value >>> 8, value), 0, 2, IpAddress.broadcast4, 7);
      for (const each of heard()) {
        const sum = udp.field.checksum.get(each, 34);
        if (sum === 0xffff || sum === 0) sums.add(sum);
        if (checksum(each, 34, 10, pseudoHeaderSum4(us.w3, -1, 17, 10)) !== 0) expect.unreachable();
      }
    }
    expect([...sums]).toEqual([0xffff]);
  });

  test("broadcasts reach sockets on all addresses, and closed ports stay silent about them", async () => {
    const { stack, receive, heard } = await setup();
    let all = 0;
    await stack.udp.bind({ port: 7 }, () => all++);
    await stack.udp.bind({ port: 8, address: us }, () => expect.unreachable());
    for (const port of [7, 8, 6]) receive(frame({ destination: IpAddress.parse("10.0.0.255"), port }));
    receive(frame({ destination: IpAddress.broadcast4 }));
    expect(all).toBe(2);
    expect(heard()).toEqual([]);
  });

  test("sockets on different addresses share a port, one on all of them does not", async () => {
    const { stack } = await setup();
    const bind = (address: IpAddress) => stack.udp.bind({ port: 7, address }, () => undefined);
    await bind(us);
    const second = await bind(IpAddress.loopback4);
    await expect(bind(IpAddress.any4)).rejects.toMatchObject({ kind: "address-in-use" });
    await expect(bind(us)).rejects.toBeInstanceOf(FlowError);
    await second.close();
    await bind(IpAddress.loopback4);
  });

  test("what a handler throws is reported, and the next datagram delivered", async () => {
    const { stack, receive, errors } = await setup();
    let calls = 0;
    await stack.udp.bind({ port: 7 }, () => {
      throw new Error(`call ${++calls}`);
    });
    receive(frame());
    receive(frame());
    expect(errors).toEqual([new Error("call 1"), new Error("call 2")]);
  });

  test("the bound on sockets is a FlowError", async () => {
    const { stack } = await setup();
    for (let count = 0; count < 4096; count++) await stack.udp.bind({}, () => undefined);
    await expect(stack.udp.bind({}, () => undefined)).rejects.toMatchObject({ kind: "exhausted" });
  });
});
