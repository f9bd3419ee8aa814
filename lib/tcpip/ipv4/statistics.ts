/** What became of the packets. */
export class Ipv4Statistics {
  received = 0;
  delivered = 0;
  badHeader = 0;
  badChecksum = 0;
  badOptions = 0;
  sourceRoute = 0;
  /** To an address that is not ours, or ours on another interface, while we do not forward. */
  notForUs = 0;
  /** From an address that no packet on this link can have. */
  martian = 0;
  /** To us alone, in a frame for all (RFC 1122 §3.3.6). */
  linkBroadcast = 0;
  unknownProtocol = 0;
  sent = 0;
  sentFragments = 0;
  /** No address, or no route. */
  noRoute = 0;
  /** Longer than the path with fragmentation forbidden, or than any packet. */
  tooBig = 0;
  /** No page for a fragment, or on the interface that a packet leaves by. */
  noPage = 0;
  /** Packets between our own addresses, and copies of what we send to groups that we are in. */
  loopback = 0;
  loopbackDropped = 0;
  /** ICMP "too big" messages that changed a path MTU. */
  pathMtuLowered = 0;
  /** ICMP messages about packets that we cannot have sent. */
  implausibleErrors = 0;
  /** Redirects that were followed, and those that were not: nobody asked for them, or they failed a check. */
  redirects = 0;
  redirectsIgnored = 0;
}
