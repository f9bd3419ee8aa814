/** Names of ports that programs look for (RFC 6335; the IANA registry has thousands). */
const names: Readonly<Record<number, string>> = {
  7: "echo",
  21: "ftp",
  22: "ssh",
  23: "telnet",
  25: "smtp",
  53: "domain",
  67: "bootps",
  69: "tftp",
  80: "http",
  110: "pop3",
  123: "ntp",
  143: "imap2",
  161: "snmp",
  179: "bgp",
  389: "ldap",
  443: "https",
  465: "submissions",
  514: "syslog",
  587: "submission",
  636: "ldaps",
  853: "domain-s",
  993: "imaps",
  995: "pop3s",
  3306: "mysql",
  5432: "postgresql",
  6379: "redis",
  8080: "http-alt",
};

/** The service that a port is for; the number in text where we know none. */
export function serviceName(port: number): string {
  return names[port] ?? String(port);
}
