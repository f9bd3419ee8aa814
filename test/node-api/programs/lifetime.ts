// What keeps a process alive, and what ends it: the program named by the first argument. Nothing but sockets of ours
// keeps this process: the stack's own timers are not referenced.
import dns from "node:dns";
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import { Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { installNodeApi } from "@tesserae/node-api/install";
import { createRandom } from "@tesserae/node/random";
import { createHosts } from "@tesserae/tcpip/hosts";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { createPromptTimers } from "../prompt-timers.ts";

const timers = createPromptTimers({ isReferenced: false });
const link = createLink({ timers });
const make = (netif: typeof link.a, address: string) =>
  createStack({ netif, timers, random: createRandom(), ipv4: { kind: "static", address: Prefix.parse(address) } });
const stack = await make(link.a, "10.0.0.1/24");
const other = await make(link.b, "10.0.0.2/24");

const later = (act: () => void): void => void setTimeout(act, 50).unref();

const programs: Readonly<Record<string, () => void>> = {
  "nothing is open": () => undefined,
  "a listening server keeps the process": () => {
    const server = net.createServer().listen(1);
    later(() => server.close(() => console.log("closed")));
  },
  "an unreferenced server does not": () => {
    net
      .createServer()
      .listen(1, () => {
        console.log("listening");
        later(() => console.log("too late"));
      })
      .unref();
  },
  "a connection that reads keeps it": () => {
    void other.tcp.listen({ port: 2 }, (flow) => {
      later(() => void flow.write(Buffer.from("data")).then(() => flow.close()));
    });
    net.connect(2, "10.0.0.2").on("data", (data) => console.log(data.toString()));
  },
  "a connection that does not read, and has nothing to send, does not": () => {
    void other.tcp.listen({ port: 2 }, () => undefined);
    const socket = net.connect(2, "10.0.0.2", () => {
      socket.pause();
      socket.unref();
      console.log("connected");
      later(() => console.log("too late"));
    });
  },
  "what was written is delivered after the last handle is gone": () => {
    void other.tcp.listen({ port: 2 }, async (flow) => {
      const into = Buffer.alloc(65_536);
      let total = 0;
      for (let count = await flow.read(into); count > 0; count = await flow.read(into)) total += count;
      console.log(total);
      await flow.close();
    });
    net.connect(2, "10.0.0.2").end(Buffer.alloc(1_000_000));
  },
  "a bound datagram socket keeps it": () => {
    const socket = dgram.createSocket("udp4").bind(1, () => later(() => socket.close(() => console.log("closed"))));
  },
  "a lookup keeps it": () => {
    dns.lookup("localhost", (_, address) => console.log(address));
  },
  "a server that is closed between requests lets it end": () => {
    const server = http
      .createServer((_, response) => response.end("answer"))
      .listen(80, () => {
        void fetch("http://10.0.0.1/").then(async (response) => {
          console.log(await response.text());
          server.close();
          server.closeAllConnections();
        });
      });
  },
  "what a handler throws is an uncaught exception": () => {
    process.on("uncaughtException", (error, origin) => {
      console.log(origin, error.message);
      if (error.message === "datagram") process.exit(7);
    });
    process.on("unhandledRejection", () => console.log("unhandledRejection"));
    const server = net.createServer((socket) => {
      server.close();
      socket.on("data", (data) => {
        socket.end(data);
        throw new Error("data");
      });
      socket.on("close", () => {
        const datagrams = dgram.createSocket("udp4").bind(1, () => datagrams.send("x", 1, "10.0.0.1"));
        datagrams.on("message", () => {
          throw new Error("datagram");
        });
      });
      throw new Error("connection");
    });
    server.listen(1, () => {
      const client = net.connect(1, "10.0.0.1", () => {
        client.end("x");
        client.resume();
        throw new Error("connect");
      });
    });
  },
  "an exception that nobody catches ends it": () => {
    net
      .createServer(() => {
        throw new Error("from a handler");
      })
      .listen(1, () => net.connect(1, "10.0.0.1").on("error", () => undefined));
  },
  "pipes stay the kernel's": () => {
    const path = `/tmp/tesserae-pipe-${process.pid}`;
    const server = net
      .createServer((socket) => socket.end("by pipe"))
      .listen(path, () => {
        net
          .connect(path)
          .on("data", (data) => console.log(data.toString()))
          .on("close", () => server.close());
      });
  },
  "a socket of before stays the kernel's": () => undefined,
  "nothing is left behind": () => {
    api.uninstall();
    const server = net.createServer((socket) => socket.end(String(socket.localAddress)));
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address !== "object" || address === null) return;
      net.connect(address.port, "127.0.0.1").on("data", (data) => {
        console.log(data.toString());
        server.close();
      });
    });
  },
};

const name = process.argv[2] ?? "";
let early: net.Server | undefined;
if (name === "a socket of before stays the kernel's") {
  early = net.createServer((socket) => socket.end("kernel"));
  await new Promise<void>((resolve) => early?.listen(0, "127.0.0.1", resolve));
}
const active: boolean[] = [];
const api = installNodeApi({ stack, resolver: createHosts(), onActive: (each) => active.push(each) });
if (early !== undefined) {
  const server = early;
  const address = server.address();
  console.log(typeof address === "object" && address !== null && address.port > 0);
  server.close(() => console.log("closed"));
}
programs[name]?.();
process.on("exit", () => {
  // Every hold was given back.
  if (active.length % 2 === 1 && process.exitCode === undefined) console.log("still active");
});
