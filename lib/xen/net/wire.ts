/**
 * The entries of a network device's rings, little-endian (Xen's `io/netif.h`). Front end to back end is called
 * transmit, the other way receive.
 */

/** Bytes of an entry of the transmit ring: `netif_tx_request`, whose response is shorter. */
export const transmitEntry = 12;
/** Bytes of an entry of the receive ring: `netif_rx_response`, as long as its request. */
export const receiveEntry = 8;

/** Flags of a transmit request (`NETTXF_*`). */
export const transmitFlag = {
  checksumBlank: 1,
  dataValidated: 2,
  moreData: 4,
  extraInfo: 8,
} as const;

/** Flags of a receive response (`NETRXF_*`). */
export const receiveFlag = {
  dataValidated: 1,
  checksumBlank: 2,
  moreData: 4,
  extraInfo: 8,
} as const;

/** Status of a response (`NETIF_RSP_*`); of a receive response, more than 0 are the bytes of a piece. */
export const status = {
  dropped: -2,
  error: -1,
  okay: 0,
  /** Of an entry with extra information: it has no other response. */
  none: 1,
} as const;

/** What extra information is about (`XEN_NETIF_EXTRA_TYPE_*`). */
export const extraType = {
  segmentation: 1,
  multicastAdd: 2,
  multicastRemove: 3,
  hash: 4,
} as const;

/** Flag of extra information: more of it follows. */
export const extraMore = 1;

/** Protocol of a frame to be cut (`XEN_NETIF_GSO_TYPE_*`). */
export const segmentationType = { tcp4: 1, tcp6: 2 } as const;

/** The longest frame, in bytes with its Ethernet header: its length is 16 bits. */
export const longestFrame = 65_535;

/** Entries with data that a back end takes for one frame at least (`XEN_NETIF_NR_SLOTS_MIN`); a front end uses no more. */
export const mostPieces = 18;

/** One entry of either ring, read from shared memory once. Which fields mean something depends on what it is. */
export class Entry {
  reference = 0;
  offset = 0;
  flags = 0;
  id = 0;
  /** Bytes; of a receive response the status, with its sign. */
  size = 0;
}

/** Extra information, read from shared memory once. */
export class ExtraInfo {
  type = 0;
  hasMore = false;
  segmentSize = 0;
  segmentationType = 0;
}

export function readTransmitRequest(view: DataView, at: number, into: Entry): void {
  into.reference = view.getUint32(at, true);
  into.offset = view.getUint16(at + 4, true);
  into.flags = view.getUint16(at + 6, true);
  into.id = view.getUint16(at + 8, true);
  into.size = view.getUint16(at + 10, true);
}

export function writeTransmitRequest(
  view: DataView,
  at: number,
  reference: number,
  offset: number,
  flags: number,
  id: number,
  size: number,
): void {
  view.setUint32(at, reference, true);
  view.setUint16(at + 4, offset, true);
  view.setUint16(at + 6, flags, true);
  view.setUint16(at + 8, id, true);
  view.setUint16(at + 10, size, true);
}

export function readTransmitResponse(view: DataView, at: number, into: Entry): void {
  into.id = view.getUint16(at, true);
  into.size = view.getInt16(at + 2, true);
}

export function writeTransmitResponse(view: DataView, at: number, id: number, result: number): void {
  view.setUint16(at, id, true);
  view.setInt16(at + 2, result, true);
}

export function readReceiveRequest(view: DataView, at: number, into: Entry): void {
  into.id = view.getUint16(at, true);
  into.reference = view.getUint32(at + 4, true);
}

export function writeReceiveRequest(view: DataView, at: number, id: number, reference: number): void {
  view.setUint16(at, id, true);
  view.setUint16(at + 2, 0, true);
  view.setUint32(at + 4, reference, true);
}

export function readReceiveResponse(view: DataView, at: number, into: Entry): void {
  into.id = view.getUint16(at, true);
  into.offset = view.getUint16(at + 2, true);
  into.flags = view.getUint16(at + 4, true);
  into.size = view.getInt16(at + 6, true);
}

export function writeReceiveResponse(
  view: DataView,
  at: number,
  id: number,
  offset: number,
  flags: number,
  result: number,
): void {
  view.setUint16(at, id, true);
  view.setUint16(at + 2, offset, true);
  view.setUint16(at + 4, flags, true);
  view.setInt16(at + 6, result, true);
}

export function readExtraInfo(view: DataView, at: number, into: ExtraInfo): void {
  into.type = view.getUint8(at);
  into.hasMore = (view.getUint8(at + 1) & extraMore) !== 0;
  into.segmentSize = view.getUint16(at + 2, true);
  into.segmentationType = view.getUint8(at + 4);
}

/** Extra information about a frame to be cut, with none behind it. */
export function writeSegmentation(view: DataView, at: number, segmentSize: number, type: number): void {
  view.setUint8(at, extraType.segmentation);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, segmentSize, true);
  view.setUint8(at + 4, type);
  view.setUint8(at + 5, 0);
  view.setUint16(at + 6, 0, true);
}
