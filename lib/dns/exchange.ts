import type { Endpoint } from "@tesserae/device/address";
import { formatEndpoint } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp, UdpSocket } from "@tesserae/device/udp";
import { withTimeout } from "@tesserae/time/sleep";
import { type DnsMessage, emitMessage, parseMessage } from "./message.ts";
import { canonicalName } from "./name.ts";
import type { Question } from "./record.ts";
import { classIn } from "./wire.ts";

export interface Transport {
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly timers: Timers;
  readonly random: Random;
}

/** What fits into an unfragmented packet nearly everywhere (DNS flag day 2020), bytes. */
const udpSize = 1232;
/** A query has one name of at most 255 bytes. */
const longestQuery = 512;

function query(random: Random, question: Question, edns: boolean): DnsMessage {
  return {
    // RFC 5452 §9.2: as random as can be; the source port is the transport's.
    id: random.uint32() & 0xffff,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    ...(edns ? { edns: { udpSize, version: 0, dnssecOk: false, options: [] } } : {}),
  };
}

/** Whether `message` answers `asked` (RFC 5452 §9.1): the number, and the question said again. */
function answers(message: DnsMessage, asked: DnsMessage): boolean {
  if (!message.response || message.id !== asked.id || message.opcode !== asked.opcode) return false;
  const [question, ...more] = message.questions;
  const own = asked.questions[0];
  // Servers that cannot read a question do not repeat it.
  if (question === undefined) return message.rcode !== 0 && message.answers.length === 0;
  return (
    own !== undefined &&
    more.length === 0 &&
    question.type === own.type &&
    question.class === own.class &&
    canonicalName(question.name) === canonicalName(own.name)
  );
}

/**
 * Asks one server once, over UDP from a port of its own, and over TCP when the answer does not fit (RFC 7766 §5).
 * Datagrams that are no answer to the question are ignored.
 *
 * @param timeout milliseconds for each transport
 * @throws TimeoutError; FlowError; the signal's reason; RangeError when the name is none.
 */
export async function ask(
  transport: Transport,
  server: Endpoint,
  { name, type }: { readonly name: string; readonly type: number },
  options: { readonly timeout: number; readonly edns: boolean; readonly signal?: AbortSignal },
): Promise<DnsMessage> {
  const asked = query(transport.random, { name, type, class: classIn }, options.edns);
  const bytes = new Uint8Array(longestQuery);
  const length = emitMessage(asked, bytes);
  const { timers } = transport;
  const overUdp = (signal: AbortSignal): Promise<DnsMessage> =>
    askUdp(transport.udp, server, bytes.subarray(0, length), asked, signal);
  const answer = await withTimeout(timers, options.timeout, overUdp, options.signal);
  if (!answer.truncated) return answer;
  const overTcp = (signal: AbortSignal): Promise<DnsMessage> =>
    askTcp(transport.tcp, server, bytes.subarray(0, length), asked, signal);
  return withTimeout(timers, options.timeout, overTcp, options.signal);
}

async function askUdp(
  udp: Udp,
  server: Endpoint,
  bytes: Uint8Array,
  asked: DnsMessage,
  signal: AbortSignal,
): Promise<DnsMessage> {
  let socket: UdpSocket | undefined;
  try {
    return await new Promise<DnsMessage>((resolve, reject) => {
      // as: signals are aborted with a reason, by default a DOMException.
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      const receive = ({ bytes: data, offset, length, source, sourcePort }: Datagram): void => {
        if (sourcePort !== server.port || !source.equals(server.address)) return;
        const parsed = parseMessage(data, offset, length);
        if (parsed.ok && answers(parsed.value, asked)) resolve(parsed.value);
      };
      udp.bind({}, receive).then((bound) => {
        socket = bound;
        if (signal.aborted) void bound.close();
        // What could not be sent is like what was lost: the time allowed ends it.
        else bound.send(bytes, 0, bytes.length, server.address, server.port);
      }, reject);
    });
  } finally {
    await socket?.close();
  }
}

async function askTcp(
  tcp: Tcp,
  server: Endpoint,
  bytes: Uint8Array,
  asked: DnsMessage,
  signal: AbortSignal,
): Promise<DnsMessage> {
  const flow = await tcp.connect({ address: server.address, port: server.port, noDelay: true, signal });
  const abort = (): void => flow.abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    // RFC 7766 §8: the length and the message in one segment.
    const framed = new Uint8Array(bytes.length + 2);
    framed.set([bytes.length >>> 8, bytes.length & 255]);
    framed.set(bytes, 2);
    await flow.write(framed);
    const prefix = await readExactly(flow, 2, server);
    const data = await readExactly(flow, ((prefix[0] ?? 0) << 8) | (prefix[1] ?? 0), server);
    const parsed = parseMessage(data);
    if (!parsed.ok) throw new Error(`${formatEndpoint(server)} sent a bad message: ${parsed.error.message}`);
    if (!answers(parsed.value, asked)) throw new Error(`${formatEndpoint(server)} answered another question`);
    return parsed.value;
  } finally {
    signal.removeEventListener("abort", abort);
    void flow.close();
  }
}

async function readExactly(flow: Flow, length: number, server: Endpoint): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const count = await flow.read(bytes.subarray(at));
    if (count === 0) throw new Error(`${formatEndpoint(server)} ended the connection in the middle of a message`);
    at += count;
  }
  return bytes;
}
