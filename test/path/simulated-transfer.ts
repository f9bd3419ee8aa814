// A bulk transfer between two of our stacks over a simulated link, in virtual time: a function of its seed.
import { Prefix } from "@tesserae/device/address";
import type { PathSettings } from "@tesserae/sim/link-settings";
import { createWorld, type World } from "@tesserae/sim/world";
import type { Host } from "@tesserae/sim/host";
import type { TcpLimits } from "@tesserae/tcpip/tcp/context";
import type { ConnectionStatistics } from "@tesserae/tcpip/tcp/statistics";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { goodput, receiveOne, sendOne, type Received, type TransferLimits } from "./transfer.ts";

export interface SimulatedTransferOptions extends TransferLimits {
  /** Forward is from the receiver to the sender: the way of the ACKs. */
  readonly link: PathSettings;
  readonly seed: string;
  /** Of both stacks. */
  readonly tcp?: Partial<TcpLimits>;
  /** Sees the world before it runs: to observe it. */
  readonly prepare?: (world: World) => void;
  /** Gets the sender's view of its connection every `sampleEvery` milliseconds. */
  readonly sample?: (now: number, connection: ConnectionStatistics) => void;
  readonly sampleEvery?: number;
}

export interface SimulatedTransfer extends Received {
  /** Payload bits a second. */
  readonly goodput: number;
  readonly retransmits: number;
  readonly timeouts: number;
  /** Timers fired, frames' arrivals included. */
  readonly events: number;
}

const port = 5001;
const receiverAddress = Prefix.parse("10.9.0.2/24");
const senderAddress = Prefix.parse("10.9.0.1/24");

/** Buffers that hardly a path of the golden table is too long for. */
export const ampleBuffers: Partial<TcpLimits> = {
  maxReceiveBuffer: 268_435_456,
  maxSendBuffer: 268_435_456,
  memory: 1_073_741_824,
};

export async function simulateTransfer(options: SimulatedTransferOptions): Promise<SimulatedTransfer> {
  const world = createWorld({ seed: options.seed, ambient: false });
  options.prepare?.(world);
  // The bottleneck is not the sender's own link: a host notices what does not even leave it.
  const sender = world.host("sender", { stack: false, link: { ...options.link, bandwidth: Infinity } });
  const receiver = world.host("receiver", { stack: false, link: options.link });
  let result: Received | undefined;
  let statistics: IpStack["tcp"]["statistics"] | undefined;
  world.task("transfer", async () => {
    const from = await stackOf(sender, senderAddress, options.tcp);
    const to = await stackOf(receiver, receiverAddress, options.tcp);
    const { received } = await receiveOne(to, receiver.timers, port, options);
    const sent = sendOne(from, receiverAddress.address, port, options.bytes);
    const { sample, sampleEvery = 100 } = options;
    const sampler = world.timers.timer(() => {
      const [connection] = from.tcp.connections();
      if (connection !== undefined) sample?.(world.now, connection);
      sampler.set(world.now + sampleEvery);
    });
    if (sample !== undefined) sampler.set(0);
    result = await received;
    sampler.cancel();
    statistics = from.tcp.statistics;
    await from.close();
    await to.close();
    await sent;
  });
  const { events } = await world.run({ eventLimit: 1e9 });
  await world.close();
  if (result === undefined || statistics === undefined) throw new Error("the transfer ended without a result");
  const { segmentsRetransmitted: retransmits, retransmissionTimeouts: timeouts } = statistics;
  return { ...result, goodput: goodput(result), retransmits, timeouts, events };
}

async function stackOf(host: Host, address: Prefix, tcp: Partial<TcpLimits> = {}): Promise<IpStack> {
  return createStack({
    netif: host.netif,
    timers: host.timers,
    random: host.random.fork("stack"),
    ipv4: { kind: "static", address },
    tcp,
  });
}
