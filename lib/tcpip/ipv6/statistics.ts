/** What became of the packets. */
export class Ipv6Statistics {
  received = 0;
  delivered = 0;
  badHeader = 0;
  /** Chains of extension headers that nobody is told of, or that their sender is told of. */
  badChain = 0;
  /** To an address, or a group, that is not ours: a host does not forward. */
  notForUs = 0;
  /** From, or to, an address that no packet on this link can have. */
  martian = 0;
  /** To us alone, in a frame for many. */
  linkMulticast = 0;
  unknownProtocol = 0;
  sent = 0;
  sentFragments = 0;
  /** No address, or no route. */
  noRoute = 0;
  /** Longer than the path with fragmentation forbidden, or than any packet. */
  tooBig = 0;
  /** No page for a fragment or a copy. */
  noPage = 0;
  /** Packets between our own addresses. */
  loopback = 0;
  loopbackDropped = 0;
  /** ICMPv6 "too big" messages that changed a path MTU. */
  pathMtuLowered = 0;
  /** ICMPv6 messages about packets that we cannot have sent. */
  implausibleErrors = 0;
}
