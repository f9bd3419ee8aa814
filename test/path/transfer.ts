// One bulk transfer over any stack, measured where it arrives: the same code on the kernel's sockets, on our stack over
// a tap device, and in the simulator.
import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { FlowError, type Flow } from "@tesserae/device/flow";
import type { Stack } from "@tesserae/device/stack";

/** When a transfer ends: whichever comes first. */
export interface TransferLimits {
  /** Of payload. */
  readonly bytes: number;
  /** From the moment the receiver has the connection. */
  readonly milliseconds: number;
  /** What arrives in the first milliseconds does not count, nor do these themselves. Default 0. */
  readonly skip?: number;
}

export interface Received {
  /** Of payload. */
  readonly bytes: number;
  /** From the moment the receiver had the connection to the last byte that counts, or to the end of its time. */
  readonly milliseconds: number;
}

/** Payload bits a second. */
export function goodput({ bytes, milliseconds }: Received): number {
  return milliseconds === 0 ? 0 : (bytes * 8000) / milliseconds;
}

/** Bytes that are read, and written, at once. */
const blockSize = 262_144;

/**
 * Accepts one connection on `port` and takes what comes until a limit is reached; then resets it.
 *
 * @returns once it listens; `received` settles when the transfer is over
 */
export async function receiveOne(
  stack: Stack,
  timers: Timers,
  port: number,
  limits: TransferLimits,
): Promise<{ readonly received: Promise<Received> }> {
  let settle: (result: Received) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const received = new Promise<Received>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  const listener = await stack.tcp.listen({ port }, async (flow) => {
    void listener.close();
    try {
      settle(await drain(flow, timers, limits));
    } catch (error) {
      fail(error);
    }
  });
  return { received };
}

async function drain(flow: Flow, timers: Timers, limits: TransferLimits): Promise<Received> {
  const start = timers.now();
  const time = new AbortController();
  const end = timers.timer(() => {
    time.abort();
    flow.abort();
  });
  end.set(start + limits.milliseconds);
  const { skip = 0 } = limits;
  const into = new Uint8Array(blockSize);
  let bytes = 0;
  let skipped = 0;
  let last = start;
  try {
    while (bytes < limits.bytes) {
      const got = await flow.read(into);
      if (got === 0) break;
      bytes += got;
      last = timers.now();
      if (last - start < skip) skipped = bytes;
    }
  } catch (error) {
    // That is what the end of the time makes of the read.
    if (!time.signal.aborted) throw error;
  }
  end.cancel();
  flow.abort();
  const milliseconds = time.signal.aborted ? limits.milliseconds : last - start;
  return { bytes: bytes - skipped, milliseconds: milliseconds - skip };
}

/** Connects and writes until the receiver has had enough and resets the connection, or all `bytes` are written. */
export async function sendOne(stack: Stack, address: IpAddress, port: number, bytes: number): Promise<void> {
  const flow = await stack.tcp.connect({ address, port, timeout: 120_000 });
  const block = new Uint8Array(blockSize).fill(0x5a);
  try {
    for (let written = 0; written < bytes; written += block.length) await flow.write(block);
    await flow.end();
    // Until the receiver's reset, so that what is in flight still counts.
    await flow.read(new Uint8Array(1));
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
  }
  flow.abort();
}
