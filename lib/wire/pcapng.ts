/** What the pcapng writer and reader share: draft-ietf-opsawg-pcapng, "PCAP Next Generation Capture File Format". */

/** Block types (§10.1 of the draft). */
export const sectionHeaderBlock = 0x0a0d0d0a;
export const interfaceBlock = 0x00000001;
export const simplePacketBlock = 0x00000003;
export const enhancedPacketBlock = 0x00000006;

/** The byte-order magic of a section header, as its writer sees it. */
export const byteOrderMagic = 0x1a2b3c4d;

/** Option codes: §3.5, §4.2. */
export const optionEnd = 0;
export const optionComment = 1;
export const optionInterfaceName = 2;
export const optionTimestampResolution = 9;

/** LINKTYPE_ETHERNET. */
export const linkTypeEthernet = 1;

/** Bytes of padding that bring `length` to a multiple of four. */
export function padding(length: number): number {
  return -length & 3;
}
