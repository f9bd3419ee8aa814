// Sends hostile frames to DESTINATION_MAC / DESTINATION_IP on INTERFACE for SECONDS: random bytes; broken and well-formed
// ARP, IPv4, ICMP, UDP and TCP with random fields; fragments that overlap or never complete; SYN, ACK and RST floods.
// Prints how many were sent. The frames follow from SEED.
import koffi from "koffi";

const [device = "", mac = "", ip = "", port = "8080", seconds = "5", seed = "1"] = process.argv.slice(2);
const libc = koffi.load("libc.so.6");
const socket = libc.func("int socket(int, int, int)");
const bind = libc.func("int bind(int, void *, int)");
const send = libc.func("long send(int, void *, size_t, int)");
const ifIndex = libc.func("unsigned int if_nametoindex(const char *)");

const [afPacket, sockRaw, ethPAll] = [17, 3, 0x0300];
const fd = socket(afPacket, sockRaw, ethPAll);
const address = Buffer.alloc(20);
address.writeUInt16LE(afPacket, 0);
address.writeUInt16LE(ethPAll, 2);
address.writeUInt32LE(ifIndex(device), 4);
if (fd < 0 || bind(fd, address, 20) !== 0) throw new Error(`cannot open a packet socket on ${device}`);

let state = Number(seed) | 1;
/** @param {number} limit */
function below(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

const frame = Buffer.alloc(1514);
const target = Buffer.from(mac.split(":").map((each) => Number.parseInt(each, 16)));
const targetIp = Buffer.from(ip.split(".").map(Number));

/** @param {number} from @param {number} to */
function randomize(from, to) {
  for (let at = from; at < to; at++) frame[at] = below(256);
}

/** @param {number} from @param {number} length @param {number} initial */
function checksum(from, length, initial) {
  let sum = initial;
  for (let at = 0; at < length; at += 2) {
    sum += ((frame[from + at] ?? 0) << 8) | (at + 1 < length ? (frame[from + at + 1] ?? 0) : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** @param {number} protocol @param {number} payload bytes after the IP header */
function ipv4(protocol, payload) {
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame[15] = below(8) === 0 ? below(256) : 0;
  frame.writeUInt16BE(20 + payload, 16);
  frame.writeUInt16BE(below(65536), 18);
  frame.writeUInt16BE(0, 20);
  frame[22] = below(16) === 0 ? below(4) : 64;
  frame[23] = protocol;
  // Half of the senders are on the link, half anywhere.
  if (below(2) === 0) frame.writeUInt32BE(((targetIp.readUInt32BE(0) & ~0xff) | below(256)) >>> 0, 26);
  else frame.writeUInt32BE(below(2 ** 32), 26);
  targetIp.copy(frame, 30);
}

function finishIp() {
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(checksum(14, 20, 0), 24);
}

/** @param {number} protocol @param {number} length @param {number} at where the transport checksum is */
function finishTransport(protocol, length, at) {
  frame.writeUInt16BE(0, at);
  let pseudo = protocol + length;
  for (let offset = 26; offset < 34; offset += 2) pseudo += frame.readUInt16BE(offset);
  frame.writeUInt16BE(checksum(34, length, pseudo), at);
  if (below(10) === 0) frame.writeUInt16BE(below(65536), at);
}

/** Builds one frame and returns its length. */
function build() {
  target.copy(frame, 0);
  randomize(6, 12);
  frame[6] = (frame[6] ?? 0) & 0xfe;
  const payload = below(1400);
  const kind = below(9);
  if (kind === 0) {
    randomize(12, 14 + payload);
    return Math.max(14, 14 + payload);
  }
  if (kind === 1) {
    frame.writeUInt16BE(0x0806, 12);
    Buffer.from("00010800060400", "hex").copy(frame, 14);
    frame[21] = 1 + below(3);
    randomize(22, 42);
    frame.writeUInt32BE(((targetIp.readUInt32BE(0) & ~0xff) | below(256)) >>> 0, 28);
    targetIp.copy(frame, 38);
    if (below(4) === 0) randomize(14, 24);
    return 42;
  }
  if (kind === 2) {
    // Any protocol, any header bytes, a good header checksum now and then.
    randomize(34, 34 + payload);
    ipv4(below(256), payload);
    if (below(2) === 0) randomize(14, 26);
    else finishIp();
    return 34 + payload;
  }
  if (kind === 3) {
    // Fragments of a few datagrams, overlapping and never complete.
    randomize(34, 34 + payload);
    ipv4([1, 6, 17][below(3)] ?? 17, payload);
    frame.writeUInt16BE(below(64), 18);
    frame.writeUInt16BE((below(4) === 0 ? 0 : 0x2000) | below(below(2) === 0 ? 64 : 8192), 20);
    finishIp();
    return 34 + payload;
  }
  if (kind === 4) {
    randomize(34, 34 + payload + 8);
    ipv4(1, payload + 8);
    frame[34] = below(20);
    frame[35] = below(16);
    if (below(2) === 0) {
      // An error about a packet that we may have sent.
      frame[34] = [3, 4, 11, 12][below(4)] ?? 3;
      frame[42] = 0x45;
      frame[51] = [1, 6, 17][below(3)] ?? 6;
      targetIp.copy(frame, 54);
    }
    finishIp();
    frame.writeUInt16BE(0, 36);
    frame.writeUInt16BE(checksum(34, payload + 8, 0), 36);
    return 34 + payload + 8;
  }
  if (kind === 5) {
    randomize(34, 42 + payload);
    ipv4(17, payload + 8);
    frame.writeUInt16BE([53, 67, 68, 7, 8080, below(65536)][below(6)] ?? 53, 36);
    frame.writeUInt16BE(below(8) === 0 ? below(65536) : payload + 8, 38);
    finishIp();
    finishTransport(17, payload + 8, 40);
    return 42 + payload;
  }
  // TCP: floods with random flags, options and numbers, most of them to the open port.
  const options = 4 * below(11);
  const data = Math.min(payload, 1400);
  randomize(34, 54 + options + data);
  ipv4(6, 20 + options + data);
  frame.writeUInt16BE(below(4) === 0 ? below(65536) : Number(port), 36);
  frame[46] = ((5 + options / 4) << 4) & 0xff;
  if (below(16) === 0) frame[46] = below(256);
  frame[47] = [0x02, 0x02, 0x10, 0x04, 0x11, 0x12, below(256)][below(7)] ?? 2;
  finishIp();
  finishTransport(6, 20 + options + data, 50);
  return 54 + options + data;
}

const until = Date.now() + Number(seconds) * 1000;
let sent = 0;
while (Date.now() < until) {
  for (let burst = 0; burst < 50; burst++) if (send(fd, frame, build(), 0) > 0) sent++;
  // Lets the server under test have the processor: this is about what it survives, not about starving it.
  await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(sent);
