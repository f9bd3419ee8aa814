// Runs every benchmark and writes docs/performance.md: what was measured, against what, on which machine.
//   npm run bench:all [-- --rounds N] [--only NAME,NAME]
// With --only, the other chapters are those of the document, or else those that were measured last on this machine. What
// stands behind -- goes to the benchmarks: npm run bench:all -- --only tcp-goodput -- --cells "^1 Gb/s" --resume
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

const root = path.resolve(import.meta.dirname, "..");
const out = path.join(root, "out/bench");
mkdirSync(out, { recursive: true });
const { values, positionals } = parseArgs({
  options: { rounds: { type: "string" }, only: { type: "string" } },
  allowPositionals: true,
});
const only = values.only?.split(",");
const rounds = values.rounds === undefined ? [] : ["--rounds", values.rounds];

/** In the order of the document. */
const chapters = [
  {
    name: "http",
    title: "HTTP on the kernel's sockets",
    text:
      "A page of 1 KiB over 64 kept-alive connections, load from `wrk` in another process. The rival is `node:http` with " +
      "the same answer. `LightResponse` is the `Response` that an image gets; the engine's is what plain Node.js code has.",
  },
  {
    name: "tap-http",
    title: "HTTP on our TCP/IP stack",
    text:
      "The same application on our stack over a tap device, and on the kernel's sockets over a veth pair without and " +
      "with segmentation offload; load from `wrk` in a network namespace. The server has one core.",
  },
  {
    name: "tap-bulk",
    title: "Bulk TCP on our stack",
    text:
      "One connection, as fast as it goes, both ways. The rival is the same application on the kernel's sockets over a " +
      "veth pair with segmentation offload.",
  },
  {
    name: "tap-udp",
    title: "Bulk UDP on our stack",
    text:
      "Datagrams of 1400 bytes, as fast as they go, both ways: 46 at once (`sendMany`, which is `UDP_SEGMENT` on the kernel's " +
      "sockets) and one by one, of which the generator gives the kernel 64 a call. What is received counts. The rival is the " +
      "same application on the kernel's sockets over a veth pair with all its offloads; kernel sockets receive by `recvmmsg`, " +
      "without `UDP_GRO`.",
  },
  {
    name: "forwarding",
    title: "Forwarding",
    text:
      "Packets a second that arrive behind a router: ours (`createRouter`, as in `examples/router`) between two tap devices, " +
      "and the Linux kernel's between veth pairs, passed on as they are and translated (NAT44 in both). One program sends " +
      "datagrams of 16 flows as fast as it can; the router has core 1, all the rest core 0.",
  },
  {
    name: "xenstore",
    title: "Xenstore in a storm of machines",
    text:
      "What xl, hotplug scripts and kernels ask of xenstore while a machine is created, runs and is destroyed, as recorded, " +
      "for many machines at once. The rival is C xenstored; the client is the same for all.",
  },
  {
    name: "xen-vchan",
    title: "Bytes between two guests of Xen",
    text:
      "1 MiB from guest to guest and back over a vchan, both being images of ours on one host of the real Xen, in QEMU without " +
      "KVM. The rival is TCP between the same two, over netfront, dom0's netback and its bridge.",
  },
  {
    name: "xen-net",
    title: "Serving from a guest of Xen",
    text:
      "One web server of ours, asked from this machine through QEMU's own network, without KVM: as a guest of the real Xen, " +
      "over netfront, dom0's netback and its bridge. The rival is the same application on a machine with virtio-net.",
  },
  {
    name: "http-servers",
    title: "HTTP beside nginx",
    text:
      "A page of 1 KiB from nginx (one worker, a file), `node:http` and ours, over kept connections and over a new connection " +
      "for each request. Every server has core 1 and a network namespace, `wrk` core 0; the kernel's receiving is done on the " +
      "core of whoever receives (see `bench/dns/place.ts`).",
  },
  {
    name: "dns-servers",
    title: "Name servers",
    text:
      "Answers a second from one core, each answer checked, 128 queries outstanding. NSD with one server process, Knot with one " +
      "UDP worker (sockets, and AF_XDP in copy mode on a veth), BIND with one thread; minimal answers, no rate limiting, no " +
      "cookies. Ours: the same program on kernel sockets, on a tap device, and on AF_XDP. The server has core 1, the generator " +
      "(`bench/dns/load`) core 0; what the kernel does to receive is done on the receiver's core, by receive packet steering " +
      "or, with XDP, by a thread of NAPI that is pinned there and, at a server's, waits until the server waits. Servers on a veth are asked with frames through AF_XDP, those " +
      "on a tap device through sockets. ![The rates as a picture](dns-servers.svg)",
    args: ["--svg", path.join(root, "docs/dns-servers.svg")],
  },
  {
    name: "dns-memory",
    title: "Memory of a signed zone",
    text:
      "A million names, each with an A record, an NSEC record and a signature of each, of ECDSA P-256's size; the servers " +
      "as for the rates. The proportional share of all pages of a server's processes, once the zone is loaded.",
  },
  {
    name: "dns-resolver",
    title: "Recursive resolvers",
    text:
      "Answers a second from one core, 128 questions outstanding, each answer checked. A private root, a zone below it, and 300 " +
      "below that, all signed, on three NSDs, which have core 0 together with the generator; the resolver has core 1. Known " +
      "names: 6,000 with a time to live of an hour. Names to be asked for: 30,000 with one of a second, so that each question " +
      "goes to a server. Made-up names: at random below all zones. unbound with one thread and as much memory for what was " +
      "learnt, otherwise as it comes; ours is `examples/resolver` on kernel sockets, a tap device and AF_XDP.",
  },
  {
    name: "tcp-goodput",
    title: "Goodput on bad paths",
    text:
      "One connection against loss (both ways), round trip and bandwidth, with a queue of one bandwidth-delay product (128 KiB " +
      "to 16 MiB) that drops at its tail; eight to thirty seconds, without loss three to twelve, or 256 MiB; payload counted " +
      "where it arrives. Ours to ours in the simulator is exact: colours compare with what slow start, RFC 5348 and RFC 9438 " +
      "let expect. Over the emulated path (`test/path`: the simulator's link between tap devices, in real time) the kernel, " +
      "with CUBIC and the same buffers, and our stack behind it take turns with the same seeds. Rates are geometric means of " +
      "the rounds (`docs/tcp-goodput.json` has each), ratios have their standard errors. At 1 ms the round trip includes how " +
      "long a process takes to wake up; above what the emulated path carries the machine is measured. – was not measured. " +
      "![The tables as a picture](tcp-goodput.svg)",
    args: ["--svg", path.join(root, "docs/tcp-goodput.svg")],
  },
  {
    name: "flame-graph",
    title: "Where the time goes",
    text:
      "Processor profiles of the name server and of the web server on a tap device under full load, as flame graphs: " +
      "opened by itself, a picture tells the file and share of what is pointed at. " +
      "![The name server](flame-dns-tap.svg) ![The web server](flame-http-tap.svg)",
  },
  {
    name: "vm-boot",
    title: "Booting the vm target",
    text:
      "From QEMU's start to the first answered HTTP request, least memory that serves, and size. The rival is Debian's " +
      "cloud kernel, tuned (uncompressed, a small initramfs, files on an ext4 disk read as they are touched), with the same " +
      "Node.js and libraries and the same application on kernel sockets. Both under the same emulation (TCG), on one core.",
  },
  {
    name: "vm-net",
    title: "Serving from the vm target",
    text: "The same two guests on q35 over a tap device, load from the host: `wrk` with 32 connections, and datagrams, 32 in flight.",
  },
  {
    name: "vm-dns",
    title: "A name server in a virtual machine",
    text:
      "The same zone, as an image of ours and as NSD (one server process) on Debian's cloud kernel, both on q35 over a tap " +
      "device, under the same emulation (TCG) on one core; the generator on the host, 32 queries outstanding.",
  },
  {
    name: "tcp-memory",
    title: "Memory of connections",
    text: "A hundred thousand connections, both ends in one process: bytes of the engine's heap and of buffers for each end.",
  },
  {
    name: "wire",
    title: "Layouts and checksums",
    text:
      "Reading and writing headers as a stack does, one function a layer behind an indirect call, against shifts written " +
      "by hand and against `DataView`; and the Internet checksum against the loop over 16-bit words.",
  },
  {
    name: "sim",
    title: "The simulator",
    text:
      "The same networks in ns-3, which is C++ and has stacks of its own: 50 pairs of hosts with a datagram each " +
      "millisecond, ten TCP transfers of 5 MB through 100 Mbit/s and 5 ms, and the start of 1000 hosts on ten LANs (ours " +
      "announce their addresses there). Ours hashes every byte of every frame.",
  },
  { name: "timers", title: "Timers", text: "A million timers, against `setTimeout` and `clearTimeout`." },
];

const file = path.join(root, "docs/performance.md");
const before = existsSync(file) ? readFileSync(file, "utf8").split(/^(?=## )/m) : [];
let document = `# Performance

Written by \`npm run bench:all\`. Each figure is a ratio of rates against the named rival, measured in the same run, the
contenders taking turns: the median of the rounds, and the lowest and highest of them. Rates are of this machine and this
hour; ratios travel better. Above 1 is faster than the rival.

Machine: ${os.cpus().length} × ${os.cpus()[0]?.model.trim() ?? "unknown"}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release().split(".", 2).join(".")}, Node.js ${process.version}, ${version("wrk", ["-v"])}.
`;
for (const { name, title, text, args = [] } of chapters) {
  const measured = path.join(out, `${name}.md`);
  if (only === undefined || only.includes(name)) {
    console.log(`== ${name}`);
    rmSync(measured, { force: true });
    const run = spawnSync(
      process.execPath,
      [path.join(root, "scripts/bench.mjs"), name, "--markdown", measured, ...args, ...rounds, ...positionals],
      { stdio: "inherit" },
    );
    if (run.status !== 0) process.exit(run.status ?? 1);
  } else {
    const chapter = before.find((text) => text.startsWith(`## ${title}\n`));
    if (chapter !== undefined) document += `\n${chapter.trimEnd()}\n`;
    if (chapter !== undefined || !existsSync(measured)) continue;
  }
  document += `\n## ${title}\n\n${text} \`npm run bench -- ${name}\`\n\n${readFileSync(measured, "utf8")}`;
}
writeFileSync(file, document);
execFileSync("npx", ["--no-install", "prettier", "--write", "--log-level", "warn", file], { cwd: root });

/** @param {string} command @param {string[]} args */
function version(command, args) {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return (`${stdout}${stderr}`.split("\n")[0] ?? "").replace(/ Copyright.*/, "").trim();
}
