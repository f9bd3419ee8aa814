/** The UDP header (RFC 768). */

import { layout, u16 } from "@tesserae/wire/layout";

export const udp = layout("udp", {
  sourcePort: u16(),
  destinationPort: u16(),
  /** Of header and payload. */
  length: u16(),
  /** 0 is none. */
  checksum: u16({ hex: true }),
});
