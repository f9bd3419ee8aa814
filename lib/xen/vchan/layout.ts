/** The page that both ends of a vchan share, as libxenvchan lays it out (Xen's `io/libxenvchan.h`). Little-endian. */

/** Indices of the two rings, in words of 32 bits. What the client writes goes through the left one. */
export const leftConsumer = 0;
export const leftProducer = 1;
export const rightConsumer = 2;
export const rightProducer = 3;

/** Logarithms of the rings' sizes, in words of 16 bits. */
export const leftOrder = 8;
export const rightOrder = 9;

/** Bytes. The first two say whether an end is there; the others hold what an end wants to be signalled for. */
export const clientLive = 20;
export const serverLive = 21;
/** What the client is to signal to the server, and the other way round. */
export const clientNotify = 22;
export const serverNotify = 23;

/** References of the rings' own pages, left before right, in words of 32 bits from here on. */
export const firstReference = 6;

export const live = {
  gone: 0,
  connected: 1,
  /** The client has not come yet. */
  awaited: 2,
  /**
   * It writes nothing more, but reads. libxenvchan knows no such state, and takes it for `connected`: there an end is
   * noticed when all is closed.
   */
  ended: 3,
} as const;

/** Bits of what is signalled. */
export const notifyWritten = 1;
export const notifyRead = 2;
/** Beside them, left alone by libxenvchan: the other end has dropped the connection, and what it wrote is not all. */
export const reset = 0x80;

/** A ring of 2¹⁰ or 2¹¹ bytes lies in the page, at the offset of that number; a larger one on pages of its own. */
export const smallOrder = 10;
export const mediumOrder = 11;
export const pageOrder = 12;
export const largestOrder = 20;

/** Orders of two rings of at least so many bytes. Only one of a kind has room in the page. */
export function chooseOrders(left: number, right: number): readonly [number, number] {
  const small = 2 ** smallOrder;
  const medium = 2 ** mediumOrder;
  if (left <= small && right <= medium) return [smallOrder, mediumOrder];
  if (left <= medium && right <= small) return [mediumOrder, smallOrder];
  const own = (size: number): number => Math.max(pageOrder, Math.ceil(Math.log2(size)));
  if (left <= medium) return [mediumOrder, own(right)];
  if (right <= medium) return [own(left), mediumOrder];
  return [own(left), own(right)];
}

/** Whether two orders can be those of one page. */
export function areOrders(left: number, right: number): boolean {
  const isOne = (order: number): boolean => order >= smallOrder && order <= largestOrder;
  return isOne(left) && isOne(right) && (left !== right || left >= pageOrder);
}
