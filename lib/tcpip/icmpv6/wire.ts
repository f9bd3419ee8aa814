/** ICMPv6 (RFC 4443). */

import type { IpError } from "@tesserae/device/ip";
import { layout, u16, u32, u8 } from "@tesserae/wire/layout";

export const icmpUnreachable = 1;
export const icmpPacketTooBig = 2;
export const icmpTimeExceeded = 3;
export const icmpParameterProblem = 4;
export const icmpEchoRequest = 128;
export const icmpEchoReply = 129;
export const mldQuery = 130;
export const mldReport1 = 131;
export const mldDone1 = 132;
export const ndRouterSolicitation = 133;
export const ndRouterAdvertisement = 134;
export const ndNeighbourSolicitation = 135;
export const ndNeighbourAdvertisement = 136;
export const ndRedirect = 137;
export const mldReport2 = 143;

const types = {
  1: "unreachable",
  2: "packet-too-big",
  3: "time-exceeded",
  4: "parameter-problem",
  128: "echo-request",
  129: "echo-reply",
  130: "mld-query",
  131: "mld-report",
  132: "mld-done",
  133: "router-solicitation",
  134: "router-advertisement",
  135: "neighbour-solicitation",
  136: "neighbour-advertisement",
  137: "redirect",
  143: "mldv2-report",
} as const;

/** The part that all messages have, with the four bytes behind it as an echo has them. */
export const icmp6 = layout("icmpv6", {
  type: u8({ names: types }),
  code: u8(),
  checksum: u16({ hex: true }),
  /** Echo. */
  identifier: u16(),
  /** Echo. */
  sequence: u16(),
});

/** The four bytes of "packet too big" (the MTU) and "parameter problem" (the pointer) as one number. */
export const icmp6Error = layout("icmpv6-error", {
  type: u8({ names: types }),
  code: u8(),
  checksum: u16({ hex: true }),
  parameter: u32(),
});

/** Whether a message of that type says that something is wrong (RFC 4443 §2.1): the high bit is clear. */
export function isIcmp6Error(type: number): boolean {
  return type < 128;
}

/** What an error message means to a transport, or `undefined` when it means nothing to one. */
export function errorKind6(type: number, code: number): IpError["kind"] | undefined {
  switch (type) {
    case icmpPacketTooBig:
      return "packet-too-big";
    case icmpTimeExceeded:
      return "time-exceeded";
    case icmpParameterProblem:
      // RFC 4443 §3.4: nobody takes the transport protocol.
      return code === 1 ? "unreachable-port" : "parameter-problem";
    case icmpUnreachable:
      if (code === 0) return "unreachable-network";
      if (code === 2 || code === 3) return "unreachable-host";
      if (code === 4) return "unreachable-port";
      return code === 1 || code === 5 || code === 6 ? "prohibited" : undefined;
    default:
      return undefined;
  }
}
