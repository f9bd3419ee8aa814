import { IpAddress, MacAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressBytes, maskLength, option, routesOption, textOption } from "./options.ts";
import { dhcp, type DhcpMessage, emitDhcp, parseDhcp } from "./wire.ts";

const base: DhcpMessage = {
  operation: "reply",
  type: "ack",
  transactionId: 0x12345678,
  seconds: 3,
  broadcast: true,
  clientIp: IpAddress.any4,
  yourIp: IpAddress.parse("10.0.0.50"),
  clientMac: MacAddress.parse("02:00:00:00:00:01"),
  options: new Map([[option.subnetMask, Uint8Array.of(255, 255, 255, 0)]]),
};

function emitted(message: DhcpMessage): Uint8Array {
  const bytes = new Uint8Array(1500);
  return bytes.slice(0, emitDhcp(message, bytes));
}

/** A message whose options are written by hand: behind the cookie, in `file` and in `sname`. */
function raw(options: readonly number[], file: readonly number[] = [], serverName: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(dhcp.size + options.length);
  bytes.set(emitted(base).slice(0, dhcp.size));
  bytes.set(serverName, dhcp.field.serverName.offset);
  bytes.set(file, dhcp.field.file.offset);
  bytes.set(options, dhcp.size);
  return bytes;
}

describe("RFC 2131 §2: messages", () => {
  test("what is written is read", () => {
    const code = fc
      .integer({ min: 1, max: 254 })
      .filter((each) => each !== option.messageType && each !== option.overload);
    const options = fc.array(fc.tuple(code, fc.uint8Array({ maxLength: 300 })), { maxLength: 3 });
    fc.assert(
      fc.property(options, fc.nat(0xffffffff), fc.boolean(), (list, transactionId, broadcast) => {
        const message = { ...base, transactionId, broadcast, options: new Map(list) };
        expect(parseDhcp(emitted(message))).toEqual({ ok: true, value: message });
      }),
    );
  });

  test("RFC 1542 §2.1: a message has at least 300 bytes", () => {
    expect(emitted(base).length).toBe(300);
  });

  test("§4.1: options overflow into file and sname, in that order, and split options are joined (RFC 3396)", () => {
    const bytes = raw(
      [option.messageType, 1, 5, option.overload, 1, 3, option.hostName, 2, 97, 98, option.end],
      [option.hostName, 1, 99, option.end],
      [option.hostName, 2, 100, 101, option.pad, option.domainName, 1, 120, option.end],
    );
    const parsed = parseDhcp(bytes);
    expect(parsed).toMatchObject({ ok: true, value: { type: "ack" } });
    if (!parsed.ok) return;
    expect(textOption(parsed.value.options, option.hostName)).toBe("abcde");
    expect(textOption(parsed.value.options, option.domainName)).toBe("x");
  });

  test("file and sname are not looked at without the overload mark", () => {
    const parsed = parseDhcp(raw([option.messageType, 1, 5, option.end], [option.hostName, 1, 99, option.end]));
    expect(parsed.ok && parsed.value.options.size).toBe(0);
  });

  test.each<[string, Uint8Array, string]>([
    ["too short", new Uint8Array(200), "truncated"],
    ["another cookie", raw([53, 1, 5, 255]).fill(0, dhcp.size - 4, dhcp.size), "value"],
    ["no message type", raw([1, 4, 255, 255, 255, 0, 255]), "value"],
    ["an unknown message type", raw([53, 1, 99, 255]), "value"],
    ["an option beyond the end", raw([53, 1, 5, 12, 200, 1]), "length"],
    ["an option without a length", raw([53, 1, 5, 12]), "length"],
    ["an option beyond sname", raw([53, 1, 5, 52, 1, 2, 255], [], [12, 63, 0]), "length"],
  ])("%s is refused", (_, bytes, kind) => {
    expect(parseDhcp(bytes)).toMatchObject({ ok: false, error: { kind, layer: "dhcp" } });
  });

  test("no bytes make it throw", () => {
    const tail = fc.uint8Array({ maxLength: 400 });
    fc.assert(fc.property(tail, (bytes) => void parseDhcp(bytes)));
    fc.assert(
      fc.property(
        tail,
        fc.uint8Array({ maxLength: 192 }),
        (bytes, inside) => void parseDhcp(raw([...bytes], [...inside.slice(0, 128)], [...inside.slice(0, 64)])),
      ),
    );
  });
});

describe("RFC 2132: options", () => {
  test.each([
    [0, 0],
    [-1, 32],
    [0xffffff00 | 0, 24],
    [0x80000000 | 0, 1],
    [0xff00ff00 | 0, undefined],
    [0x7fffffff, undefined],
    [1, undefined],
  ])("the mask %i has %s ones", (mask, length) => {
    expect(maskLength(mask)).toBe(length);
  });

  test("RFC 3442: the examples of classless routes", () => {
    const gateway = [10, 0, 0, 1];
    const value = [0, ...gateway, 8, 10, ...gateway, 24, 10, 17, 0, ...gateway, 25, 10, 229, 0, 128, ...gateway];
    const routes = routesOption(
      new Map([[option.classlessRoutes, Uint8Array.from([...value, 32, 10, 0, 0, 9, 0, 0, 0, 0])]]),
    );
    expect(routes?.map(({ prefix, gateway: via }) => `${prefix.toString()} ${String(via)}`)).toEqual([
      "0.0.0.0/0 10.0.0.1",
      "10.0.0.0/8 10.0.0.1",
      "10.17.0.0/24 10.0.0.1",
      "10.229.0.128/25 10.0.0.1",
      "10.0.0.9/32 undefined",
    ]);
    for (const bad of [[33, 1, 2, 3, 4, 5, ...gateway], [24, 10, 17, 0, 10, 0, 0], [8]]) {
      expect(routesOption(new Map([[option.classlessRoutes, Uint8Array.from(bad)]]))).toBeUndefined();
    }
  });

  test("text is without control characters", () => {
    const value = new TextEncoder().encode("a\n\u0000b\u001b[31m");
    expect(textOption(new Map([[option.hostName, value]]), option.hostName)).toBe("ab[31m");
  });

  test("addresses are written in network order", () => {
    expect([...addressBytes(IpAddress.parse("192.0.2.1"), IpAddress.parse("10.0.0.1"))]).toEqual([
      192, 0, 2, 1, 10, 0, 0, 1,
    ]);
  });
});
