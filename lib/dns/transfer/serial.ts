/** Serial numbers of zones (RFC 1982): 32 bits that wrap around. */

/** Whether `one` is newer than `other`. Of two that are 2³¹ apart none is. */
export function isNewer(one: number, other: number): boolean {
  const ahead = (one - other) >>> 0;
  return ahead > 0 && ahead < 0x80000000;
}

/** The number after `serial`; never 0, which some take for "none". */
export function nextSerial(serial: number): number {
  return serial === 0xffffffff ? 1 : serial + 1;
}
