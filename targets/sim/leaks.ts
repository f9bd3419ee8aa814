import type { Host } from "./host.ts";

/** What hosts have left over after they were closed, in words: connections, buffers, pages. Empty when all is well. */
export function leaksOf(hosts: readonly Host[]): string[] {
  const leaks: string[] = [];
  const note = (host: Host, count: number, what: string): void => {
    if (count > 0) leaks.push(`${host.name}: ${count} ${what}`);
  };
  for (const host of hosts) {
    for (const nic of host.netifs) note(host, nic.pagesOut, `pages of ${nic.name}`);
    const tcp = host.closedStack?.statistics.tcp;
    if (tcp === undefined) continue;
    note(host, tcp.connections, "connections");
    note(host, tcp.halfOpen, "half-open connections");
    note(host, tcp.timeWait, "connections in TIME-WAIT");
    note(host, tcp.bufferBytes, "bytes of connections' buffers");
  }
  return leaks;
}
