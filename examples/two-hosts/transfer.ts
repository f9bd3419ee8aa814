import { formatEndpoint, type Endpoint } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Tcp, TcpListener } from "@tesserae/device/tcp";

const chunk = 16384;

/** The byte at `position` of every transfer: no run of it repeats within any window that could be lost or doubled. */
function patternAt(position: number): number {
  return (Math.imul(position, 0x9e3779b1) >>> 24) ^ (position & 255);
}

/** Sends `bytes` bytes of the pattern and waits for the server's count. */
export async function send(tcp: Tcp, { address, port }: Endpoint, bytes: number): Promise<void> {
  const flow = await tcp.connect({ address, port });
  const buffer = new Uint8Array(chunk);
  for (let sent = 0; sent < bytes; sent += chunk) {
    const length = Math.min(chunk, bytes - sent);
    for (let index = 0; index < length; index++) buffer[index] = patternAt(sent + index);
    await flow.write(buffer.subarray(0, length));
  }
  await flow.end();
  const answer = await readAll(flow);
  await flow.close();
  if (answer !== String(bytes)) throw new Error(`sent ${bytes} bytes, but the server says "${answer}"`);
}

/** Serves one transfer after another. A wrong byte ends the transfer with words instead of a count. */
export function receive(tcp: Tcp, port: number, log: Log): Promise<TcpListener> {
  return tcp.listen({ port }, async (flow) => {
    const verdict = await check(flow);
    log.info("received", { from: formatEndpoint(flow.remote), verdict });
    await flow.write(new TextEncoder().encode(verdict));
    await flow.close();
  });
}

async function check(flow: Flow): Promise<string> {
  const buffer = new Uint8Array(chunk);
  let position = 0;
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) return String(position);
    for (let index = 0; index < length; index++, position++) {
      if (buffer[index] !== patternAt(position)) return `byte ${position} is wrong`;
    }
  }
}

async function readAll(flow: Flow): Promise<string> {
  const buffer = new Uint8Array(64);
  let text = "";
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) return text;
    text += new TextDecoder().decode(buffer.subarray(0, length));
    if (text.length > 1000) throw new Error("the server's answer is too long");
  }
}
