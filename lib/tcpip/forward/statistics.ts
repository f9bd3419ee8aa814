/** What became of the packets that were for others (RFC 1812 §5.3). */
export class ForwardStatistics {
  forwarded = 0;
  /** Pieces made of packets too long for their next link. */
  fragments = 0;
  /** Time to live used up. */
  hopLimit = 0;
  /** No route. */
  noRoute = 0;
  /** Too long for the next link, with fragmentation forbidden. */
  tooBig = 0;
  /** To an address that no packet may be passed on to: link-local, loopback, class E, a broadcast. */
  refusedDestination = 0;
  /** From an address that does not live where the packet came from (RFC 3704 §2.2). */
  refusedSource = 0;
  /** Senders told that another router, or the destination itself, is on their link. */
  redirects = 0;
  /** Refused by the filter. */
  prohibited = 0;
  /** No page of the next link, or no room in its queue. */
  dropped = 0;
  /** Of several segments, to be cut on the way, and no packet that can be. */
  segmented = 0;
}
