/** ICMP (RFC 792, RFC 1122 §3.2.2). */

import type { IpError } from "@tesserae/device/ip";
import { layout, u16, u8 } from "@tesserae/wire/layout";

export const icmpEchoReply = 0;
export const icmpUnreachable = 3;
export const icmpSourceQuench = 4;
export const icmpRedirect = 5;
export const icmpEchoRequest = 8;
export const icmpTimeExceeded = 11;
export const icmpParameterProblem = 12;

/** The part that all messages have, with the four bytes behind it as an echo has them. */
export const icmp = layout("icmp", {
  type: u8({ names: { 0: "echo-reply", 3: "unreachable", 5: "redirect", 8: "echo-request", 11: "time-exceeded" } }),
  code: u8(),
  checksum: u16({ hex: true }),
  /** Echo: the identifier. Unreachable: unused. */
  identifier: u16(),
  /** Echo: the sequence number. "Fragmentation needed": the next hop's MTU (RFC 1191 §4). */
  sequence: u16(),
});

/** Whether a message of that type says that something is wrong: no error is sent about it. Unknown types count. */
export function isIcmpError(type: number): boolean {
  // RFC 1122 §3.2.2 lists the errors; of what is unknown nothing is known to be safe.
  switch (type) {
    case icmpEchoReply:
    case icmpEchoRequest:
    case 9: // router advertisement
    case 10: // router solicitation
    case 13: // timestamp
    case 14:
    case 15: // information
    case 16:
    case 17: // address mask
    case 18:
      return false;
    default:
      return true;
  }
}

/** What an error message means to a transport (RFC 1122 §3.2.2.1), or `undefined` when it means nothing to one. */
export function errorKind(type: number, code: number): IpError["kind"] | undefined {
  if (type === icmpTimeExceeded) return "time-exceeded";
  if (type === icmpParameterProblem) return "parameter-problem";
  if (type !== icmpUnreachable) return undefined;
  switch (code) {
    case 0:
    case 6:
    case 11:
      return "unreachable-network";
    case 1:
    case 5:
    case 7:
    case 8:
    case 12:
      return "unreachable-host";
    case 2:
    case 3:
      return "unreachable-port";
    case 4:
      return "packet-too-big";
    case 9:
    case 10:
    case 13:
    case 14:
    case 15:
      return "prohibited";
    default:
      return undefined;
  }
}
