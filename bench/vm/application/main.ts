import type { Devices } from "@tesserae/config/config";
import { serve } from "@tesserae/http/server";
import type { config } from "./tesserae.config.ts";

/** Serves a page of 1 KiB and one of 64 KiB, and sends datagrams back with one byte changed, as a name server does. */
export async function main({ stack, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const pages = new Map([
    ["/1k", new Uint8Array(1024).fill(0x61)],
    ["/64k", new Uint8Array(65_536).fill(0x62)],
  ]);
  const socket = await stack.udp.bind({ port: keys.udp }, ({ bytes, offset, length, source, sourcePort }) => {
    if (length < 12) return;
    bytes[offset + 2] = 0x80;
    socket.send(bytes, offset, length, source, sourcePort);
  });
  const server = await serve({ tcp: stack.tcp, timers, port: keys.port, signal, log }, (request) => {
    const page = pages.get(new URL(request.url).pathname);
    return page === undefined ? new Response("not found", { status: 404 }) : new Response(page);
  });
  log.info("listening", { http: keys.port, udp: keys.udp });
  await server.closed;
  await socket.close();
}
