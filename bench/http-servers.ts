// A page of 1 KiB from nginx (one worker), from node:http, and from ours on the kernel's sockets, on a tap device and on
// AF_XDP: over 64 connections that are kept, and over a new connection for each request. Each server has a network
// namespace of its own and core 1, the load (`wrk`) core 0, and each side's receiving is done on its core, as in
// bench/dns/place.ts. Needs root; skips in words without.
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { LightResponse } from "@tesserae/http/light-response";
import { serve } from "@tesserae/http/server";
import { inlineDeeply } from "@tesserae/node/engine";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createXdp } from "@tesserae/tap/xdp/netif";
import { createStack } from "@tesserae/tcpip/stack/stack";
import type { Command } from "../test/dns/servers/name-server.ts";
import { unavailable } from "../test/namespace/namespace.ts";
import { device, generatorAddress, Place, serverAddress, serverFolder, type PlaceOptions } from "./dns/place.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";

const port = 8080;
const connections = 64;
const seconds = 2;
const body = "x".repeat(1024);
const roleVariable = "HTTP_SERVERS_ROLE";

interface Setup extends PlaceOptions {
  readonly name: string;
  readonly command: () => Command;
}

async function ownStack(kind: string): Promise<Stack> {
  if (kind === "sockets") return createKernelStack();
  const hostAddress = Prefix.parse(`${generatorAddress}/24`);
  const netif = kind === "tap" ? await createTap({ name: device, hostAddress }) : await createXdp({ name: device });
  const ipv4 = { kind: "static", address: Prefix.parse(`${serverAddress}/24`) } as const;
  return createStack({ netif, timers: createTimers(), random: createRandom(), ipv4 });
}

/** What a process started by this one does. */
async function play(role: string): Promise<void> {
  const headers = { "content-type": "text/plain" };
  if (role === "node:http") {
    createServer((_request, response) => {
      response.writeHead(200, headers);
      response.end(body);
    }).listen(port);
    return;
  }
  inlineDeeply();
  const { tcp } = await ownStack(role);
  await serve({ tcp, timers: createTimers(), port }, () => new LightResponse(body, { headers }));
}

function ownCommand(role: string): Command {
  return { program: process.execPath, args: [process.argv[1]!], environment: { [roleVariable]: role } };
}

/** nginx as it is installed, but for one worker and no log. */
function nginxCommand(): Command {
  const folder = serverFolder("nginx");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "index.html"), body);
  const file = path.join(folder, "nginx.conf");
  writeFileSync(
    file,
    `worker_processes 1;
daemon off;
user root;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server { listen ${port}; root ${folder}; }
}
`,
  );
  return { program: "nginx", args: ["-c", file] };
}

const setups: readonly Setup[] = [
  { name: "nginx", link: "veth", command: nginxCommand },
  { name: "node:http", link: "veth", command: () => ownCommand("node:http") },
  { name: "ours node", link: "veth", command: () => ownCommand("sockets") },
  { name: "ours tap", link: "tap", command: () => ownCommand("tap") },
  { name: "ours XDP", link: "veth", xdp: true, command: () => ownCommand("xdp") },
];

async function ready(place: Place): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const { stdout } = await place.generator.ran("curl", ["-s", "-m", "1", `http://${serverAddress}:${port}/`]);
    if (stdout === body) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no answer from the server");
}

/** Requests answered a second. @throws Error when one went wrong: a figure with errors is none. */
async function load(place: Place, close: boolean): Promise<number> {
  const said = await place.generator.succeeds("taskset", [
    ...["-c", "0", "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s"],
    ...(close ? ["-H", "Connection: close"] : []),
    `http://${serverAddress}:${port}/`,
  ]);
  // With new connections wrk counts each close by the server as a read error.
  if (/Non-2xx/.test(said) || (!close && /Socket errors/.test(said))) throw new Error(said);
  return Number(/Requests\/sec: +([\d.]+)/.exec(said)?.[1]);
}

async function races(): Promise<void> {
  const reason = unavailable("ethtool", "taskset", "chrt", "wrk", "nginx", "curl");
  if (reason !== undefined) {
    console.log(`http-servers skipped: ${reason}`);
    return;
  }
  const places: [string, Place][] = [];
  try {
    for (const setup of setups) {
      const place = Place.open(setup);
      places.push([setup.name, place]);
      place.start(setup.command());
      await ready(place);
      place.prepareGenerator(false);
    }
    const race = (name: string, close: boolean): Race => ({
      name,
      unit: "requests/s",
      rival: "nginx",
      contenders: places.map(([contender, place]) => ({ name: contender, measure: () => load(place, close) })),
    });
    const kept = `${connections} kept connections`;
    await main([race(`1 KiB, ${kept}`, false), race("1 KiB, a connection a request", true)], 5);
  } finally {
    for (const [, place] of places) place.close();
  }
}

const role = process.env[roleVariable];
if (role === undefined) await races();
else await play(role);
