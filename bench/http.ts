// Small responses over kept connections: our server on the kernel's sockets against node:http, with the same body and
// fields, and node:net writing a fixed reply as the ceiling. The load comes from wrk (Debian package `wrk`), or, without
// it, from a client in this process, which is slower than the servers and makes them look alike.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { availableParallelism } from "node:os";
import process from "node:process";
import type { Handler } from "@tesserae/http/handler";
import { Hono } from "hono";
import { LightResponse } from "@tesserae/http/light-response";
import { serve } from "@tesserae/http/server";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createTimers } from "@tesserae/node/timers";
import { main } from "./harness/main.ts";
import type { Contender, Race } from "./harness/race.ts";

const connections = 64;
const seconds = 2;
const body = "x".repeat(1024);
const headers = { "content-type": "text/plain" };

const handlers: Readonly<Record<string, Handler>> = {
  "tesserae, LightResponse": () => new LightResponse(body, { headers }),
  "tesserae, async LightResponse": async () => new LightResponse(body, { headers }),
  "tesserae, Response": () => new Response(body, { headers }),
  "tesserae, Hono": hono(),
  "tesserae, Hono with LightResponse": hono(),
};

function hono(): Handler {
  const app = new Hono().get("/", (context) => context.body(body, 200, headers));
  return (request) => app.fetch(request);
}

const rival = "node:http";
const ceiling = "node:net, fixed reply";

/** What the child process of one contender does: listens, and says where. */
async function play(role: string): Promise<void> {
  const say = (port: number): void => console.log(port);
  const handler = handlers[role];
  if (handler !== undefined) {
    // As docs/http.md says: the application's frameworks then make light responses.
    if (role.endsWith("with LightResponse")) Object.assign(globalThis, { Response: LightResponse });
    const server = await serve({ tcp: createKernelStack().tcp, timers: createTimers(), port: 0 }, handler);
    say(server.local.port);
  } else if (role === rival) {
    const server = createHttpServer((_request, response) => {
      response.writeHead(200, headers);
      response.end(body);
    });
    server.listen(0, () => say(portOf(server)));
  } else {
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: ${new Date().toUTCString()}\r\n`;
    const reply = Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`);
    const server = createTcpServer({ noDelay: true }, (socket) => {
      socket.on("data", () => socket.write(reply));
      socket.on("error", () => socket.destroy());
    });
    server.listen(0, () => say(portOf(server)));
  }
}

function portOf(server: Server): number {
  // as: a server that listens on a port has such an address
  return (server.address() as AddressInfo).port;
}

/** With two cores or more the server has one to itself. */
const pinned = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;
const hasWrk = spawnSync("wrk", ["--version"]).error === undefined;

function onCore(core: number, command: string, args: readonly string[]): [string, string[]] {
  return pinned ? ["taskset", ["-c", String(core), command, ...args]] : [command, [...args]];
}

const children: ChildProcess[] = [];

async function start(role: string): Promise<number> {
  const [command, args] = onCore(0, process.execPath, [process.argv[1]!]);
  const child = spawn(command, args, {
    env: { ...process.env, HTTP_ROLE: role },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) => resolve(Number(line.toString())));
    child.once("exit", (code) => reject(new Error(`the server "${role}" ended with ${String(code)}`)));
  });
}

async function load(port: number): Promise<number> {
  if (!hasWrk) return loadFromHere(port);
  const url = `http://127.0.0.1:${port}/`;
  const [command, args] = onCore(1, "wrk", ["-t1", `-c${connections}`, `-d${seconds}`, url]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(output)?.[1];
  if (rate === undefined || /Non-2xx|Socket errors/.test(output)) throw new Error(`wrk failed:\n${output}`);
  return Number(rate);
}

async function loadFromHere(port: number): Promise<number> {
  const request = Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  let responses = 0;
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect(port, "127.0.0.1");
    let octets = 0;
    let size = 0;
    socket.on("data", (chunk) => {
      // Every response of one server is as long as its first.
      if (size === 0) size = chunk.indexOf("\r\n\r\n") + 4 + body.length;
      octets += chunk.length;
      for (; octets >= size; octets -= size) {
        responses++;
        socket.write(request);
      }
    });
    socket.write(request);
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  for (const socket of sockets) socket.destroy();
  return responses / seconds;
}

function contender(name: string): Contender {
  let port: Promise<number> | undefined;
  return {
    name,
    async measure() {
      port ??= start(name);
      return load(await port);
    },
  };
}

const role = process.env["HTTP_ROLE"];
if (role !== undefined) await play(role);
else {
  const race: Race = {
    name: `GET of 1 KiB, ${connections} connections${hasWrk ? "" : ", without wrk"}`,
    unit: "requests/s",
    rival,
    contenders: [rival, ...Object.keys(handlers), ceiling].map(contender),
  };
  try {
    await main([race], 5);
  } finally {
    for (const child of children) child.kill();
  }
}
