/** The DHCP message (RFC 2131 §2), its fixed part. Options are in `options.ts`. */

import type { MacAddress } from "@tesserae/device/address";
import { IpAddress } from "@tesserae/device/address";
import { bytes, flag, ipv4, bits, layout, mac, u16, u32, u8 } from "@tesserae/wire/layout";
import { failed, type Parsed } from "@tesserae/wire/parse-error";
import { collectOptions, type DhcpOptions, option } from "./options.ts";

export const dhcpServerPort = 67;
export const dhcpClientPort = 68;

export const dhcp = layout("dhcp", {
  operation: u8({ names: { 1: "request", 2: "reply" } }),
  hardwareType: u8({ expect: 1 }),
  hardwareSize: u8({ expect: 6 }),
  hops: u8(),
  transactionId: u32({ hex: true }),
  seconds: u16(),
  broadcast: flag(),
  reserved: bits(15),
  clientIp: ipv4(),
  yourIp: ipv4(),
  serverIp: ipv4(),
  relayIp: ipv4(),
  clientMac: mac(),
  clientPadding: bytes(10),
  serverName: bytes(64),
  file: bytes(128),
  cookie: u32({ hex: true, expect: 0x63825363 }),
});

/** Where the two fields are that options may overflow into (option 52). */
const serverNameAt = dhcp.field.serverName.offset;
const fileAt = dhcp.field.file.offset;

export type DhcpMessageType = "discover" | "offer" | "request" | "decline" | "ack" | "nak" | "release" | "inform";

const types: readonly DhcpMessageType[] = [
  "discover",
  "offer",
  "request",
  "decline",
  "ack",
  "nak",
  "release",
  "inform",
];

/** A message as a client or server sends it. */
export interface DhcpMessage {
  readonly operation: "request" | "reply";
  readonly type: DhcpMessageType;
  readonly transactionId: number;
  readonly seconds: number;
  readonly broadcast: boolean;
  readonly clientIp: IpAddress;
  readonly yourIp: IpAddress;
  /** The relay that the message came through (RFC 1542); absent: none. */
  readonly relayIp?: IpAddress;
  readonly clientMac: MacAddress;
  /** All options but the message type and the overload mark. */
  readonly options: DhcpOptions;
}

/** Reads the message `data[offset … offset + length)`. */
export function parseDhcp(data: Uint8Array, offset = 0, length: number = data.length - offset): Parsed<DhcpMessage> {
  const fixed = dhcp.parse(data, offset, length);
  if (!fixed.ok) return fixed;
  const { operation, transactionId, seconds, broadcast, clientIp, yourIp, relayIp, clientMac } = fixed.value;
  if (operation !== 1 && operation !== 2) {
    return failed("value", "dhcp", "operation", offset, `${operation} is neither 1 nor 2`);
  }
  const options = new Map<number, Uint8Array>();
  const start = offset + dhcp.size;
  let fault = collectOptions(data, start, offset + length, options);
  const overload = options.get(option.overload)?.[0] ?? 0;
  if (fault === undefined && (overload & 1) !== 0) {
    fault = collectOptions(data, offset + fileAt, offset + fileAt + 128, options);
  }
  if (fault === undefined && (overload & 2) !== 0) {
    fault = collectOptions(data, offset + serverNameAt, offset + serverNameAt + 64, options);
  }
  if (fault !== undefined) return failed("length", "dhcp", "options", fault, "an option reaches beyond its field");
  const code = options.get(option.messageType);
  const type = code?.length === 1 ? types[(code[0] ?? 0) - 1] : undefined;
  if (type === undefined) return failed("value", "dhcp", "options", start, "no message type (option 53) that we know");
  options.delete(option.messageType);
  options.delete(option.overload);
  return {
    ok: true,
    value: {
      operation: operation === 1 ? "request" : "reply",
      type,
      transactionId,
      seconds,
      broadcast,
      clientIp,
      yourIp,
      ...(relayIp.isUnspecified ? {} : { relayIp }),
      clientMac,
      options,
    },
  };
}

/** RFC 1542 §2.1: relays may drop what is shorter. */
const leastLength = 300;

/**
 * Writes `message` at the start of `data`, padded to 300 bytes.
 *
 * @returns its length.
 * @throws RangeError when `data` has no room.
 */
export function emitDhcp(message: DhcpMessage, data: Uint8Array): number {
  dhcp.emit(
    {
      operation: message.operation === "request" ? 1 : 2,
      hardwareType: 1,
      hardwareSize: 6,
      hops: 0,
      transactionId: message.transactionId,
      seconds: message.seconds,
      broadcast: message.broadcast,
      reserved: 0,
      clientIp: message.clientIp,
      yourIp: message.yourIp,
      serverIp: IpAddress.any4,
      relayIp: message.relayIp ?? IpAddress.any4,
      clientMac: message.clientMac,
      clientPadding: new Uint8Array(10),
      serverName: new Uint8Array(64),
      file: new Uint8Array(128),
      cookie: 0x63825363,
    },
    data,
  );
  let at = dhcp.size;
  const put = (code: number, value: Uint8Array): void => {
    // RFC 3396: what is longer than 255 bytes is split over options of the same code.
    for (let start = 0; start === 0 || start < value.length; start += 255) {
      const part = value.subarray(start, start + 255);
      if (at + 2 + part.length + 1 > data.length) throw new RangeError(`no room for option ${code}`);
      data[at] = code;
      data[at + 1] = part.length;
      data.set(part, at + 2);
      at += 2 + part.length;
    }
  };
  put(option.messageType, Uint8Array.of(types.indexOf(message.type) + 1));
  for (const [code, value] of message.options) put(code, value);
  data[at++] = option.end;
  if (at < leastLength) {
    if (data.length < leastLength) throw new RangeError(`no room for ${leastLength} bytes`);
    data.fill(0, at, leastLength);
    at = leastLength;
  }
  return at;
}
