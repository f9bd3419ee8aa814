import type { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp } from "@tesserae/device/tcp";

/** How long to wait for an answer before giving up, in milliseconds. */
const patience = 400;

/** Asks a replica one thing: a line each way. Rejects when there is no answer in time. */
export async function request(tcp: Tcp, address: IpAddress, port: number, line: string): Promise<string> {
  const signal = AbortSignal.timeout(patience);
  const flow = await tcp.connect({ address, port, signal });
  const abort = (): void => flow.abort();
  signal.addEventListener("abort", abort);
  try {
    await flow.write(new TextEncoder().encode(line));
    await flow.end();
    return await readAll(flow);
  } finally {
    signal.removeEventListener("abort", abort);
    void flow.close();
  }
}

/** All that arrives until the peer has finished: a few hundred bytes. */
export async function readAll(flow: Flow): Promise<string> {
  const buffer = new Uint8Array(1024);
  let text = "";
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) return text;
    text += new TextDecoder().decode(buffer.subarray(0, length));
    if (text.length > 4096) throw new Error("the line is too long");
  }
}
