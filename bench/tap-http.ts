// One HTTP application on our stack over a tap device against the same one on the kernel's sockets: 64 connections that
// are kept alive, answers of 1 KiB and of 64 KiB. Needs root; skips in words without.
import { serve } from "@tesserae/http/server";
import { unavailable } from "../test/namespace/namespace.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";
import { Path, role, serverAddress, serverPort, stackOfRole, type PathOptions } from "./tap/path.ts";

async function application(): Promise<void> {
  const { stack, timers } = await stackOfRole();
  const bodies = new Map([
    ["/1k", new Uint8Array(1024).fill(0x61)],
    ["/64k", new Uint8Array(65_536).fill(0x62)],
  ]);
  await serve({ tcp: stack.tcp, timers, port: serverPort }, (request) => {
    const body = bodies.get(new URL(request.url).pathname);
    return body === undefined ? new Response("not found", { status: 404 }) : new Response(body);
  });
  console.log("listening");
}

/** Requests answered a second. @throws Error when one went wrong: a figure with errors is none. */
async function load(path: Path, target: string): Promise<number> {
  const said = await path.generator.succeeds("taskset", [
    ...["-c", "1", "wrk", "-t1", "-c64", "-d2s", "--timeout", "10s"],
    `http://${serverAddress}:${serverPort}${target}`,
  ]);
  if (/Socket errors|Non-2xx/.test(said)) throw new Error(said);
  return Number(/Requests\/sec: +([\d.]+)/.exec(said)?.[1]);
}

async function races(): Promise<void> {
  const reason = unavailable("ethtool", "taskset", "wrk");
  if (reason !== undefined) {
    console.log(`tap-http skipped: ${reason}`);
    return;
  }
  const setups: [name: string, options: PathOptions][] = [
    ["kernel sockets, no offload", { stack: "kernel", mtu: 1500 }],
    ["kernel sockets, offload", { stack: "kernel", mtu: 1500, offload: true }],
    ["our stack on tap", { stack: "tap", mtu: 1500 }],
  ];
  const paths: [string, Path][] = [];
  try {
    for (const [name, options] of setups) paths.push([name, await Path.open("application", options)]);
    const race = (target: string): Race => ({
      name: `GET ${target}`,
      unit: "requests/s",
      rival: setups[0]![0],
      contenders: paths.map(([name, path]) => ({ name, measure: () => load(path, target) })),
    });
    await main([race("/1k"), race("/64k")], 5);
  } finally {
    for (const [, path] of paths) path.close();
  }
}

if (role() === "application") await application();
else await races();
