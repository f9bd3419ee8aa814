import dgram from "node:dgram";
import dns from "node:dns";
import net from "node:net";
import os from "node:os";
import tls from "node:tls";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { createLink } from "@tesserae/netif/link";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createHosts } from "@tesserae/tcpip/hosts";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { expect, test } from "vitest";
import { installNodeApi } from "./install.ts";

async function makeStack(ipv6 = false): Promise<Stack> {
  const timers = createTimers();
  const { a } = createLink({ timers });
  const ipv4 = { kind: "static", address: Prefix.parse("10.0.0.1/24") } as const;
  const both = { ipv4, ...(ipv6 ? { ipv6: { kind: "static", address: Prefix.parse("fd00::1/64") } as const } : {}) };
  return createStack({ netif: a, timers, random: createRandom(), ...both });
}

/** Everything that is replaced, as it is now. */
function snapshot(): unknown[] {
  const { binding } = process as unknown as { binding: (name: string) => Record<string, { prototype?: object }> };
  const objects = [
    binding("tcp_wrap")["TCP"]!.prototype,
    binding("udp_wrap")["UDP"]!.prototype,
    binding("cares_wrap")["ChannelWrap"]!.prototype,
    binding("cares_wrap"),
    binding("tls_wrap"),
    tls.TLSSocket.prototype,
    dns.promises,
  ];
  return objects.map((each) => Object.getOwnPropertyDescriptors(each));
}

test("uninstall puts everything back as it was", async () => {
  const stack = await makeStack();
  const before = snapshot();
  const api = installNodeApi({ stack, resolver: createHosts() });
  expect(snapshot()).not.toEqual(before);
  api.uninstall();
  api.uninstall();
  expect(snapshot()).toEqual(before);
  await stack.close();
});

test("it is installed once at a time", async () => {
  const stack = await makeStack();
  const first = installNodeApi({ stack, resolver: createHosts() });
  expect(() => installNodeApi({ stack, resolver: createHosts() })).toThrow("uninstall that first");
  first.uninstall();
  const second = installNodeApi({ stack, resolver: createHosts() });
  first.uninstall();
  expect(() => installNodeApi({ stack, resolver: createHosts() })).toThrow("uninstall that first");
  second.uninstall();
  await stack.close();
});

test("a stack that cannot open ports at once is refused, and nothing is replaced", async () => {
  const stack = createKernelStack({ report: () => undefined });
  const before = snapshot();
  expect(() => installNodeApi({ stack, resolver: createHosts() })).toThrow("stack.tcp has no open()");
  expect(snapshot()).toEqual(before);
  await stack.close();
});

test("a server on all addresses is on IPv4 where there is no IPv6, and a listener on :: alone is refused", async () => {
  const stack = await makeStack();
  const api = installNodeApi({ stack, resolver: createHosts() });
  try {
    for (const host of [undefined, "::", "0.0.0.0"]) {
      const server = net.createServer().listen({ port: 0, ...(host === undefined ? {} : { host }) });
      await new Promise((resolve) => server.once("listening", resolve));
      expect(server.address()).toMatchObject({ address: "0.0.0.0", family: "IPv4" });
      await new Promise((resolve) => server.close(resolve));
    }
    const only = net.createServer().listen({ port: 0, host: "::", ipv6Only: true });
    const error = await new Promise((resolve) => only.once("error", resolve));
    expect(error).toMatchObject({ code: "EAFNOSUPPORT" });
  } finally {
    api.uninstall();
    await stack.close();
  }
});

test("a source port cannot be chosen, and that is said", async () => {
  const stack = await makeStack();
  const api = installNodeApi({ stack, resolver: createHosts() });
  try {
    const socket = net.connect({ port: 9, host: "10.0.0.1", localPort: 4000 });
    expect(await new Promise((resolve) => socket.once("error", resolve))).toMatchObject({ code: "ENOTSUP" });
  } finally {
    api.uninstall();
    await stack.close();
  }
});

test("a stack that closes ends listeners' connections with an error, and connecting to nowhere is unreachable", async () => {
  const stack = await makeStack();
  const api = installNodeApi({ stack, resolver: createHosts() });
  try {
    const away = net.connect({ port: 80, host: "192.0.2.1" });
    expect(await new Promise((resolve) => away.once("error", resolve))).toMatchObject({
      code: "EHOSTUNREACH",
      syscall: "connect",
      address: "192.0.2.1",
      port: 80,
    });
    const server = net.createServer((socket) => socket.on("error", () => undefined)).listen(80);
    const client = net.connect(80, IpAddress.loopback4.toString());
    await new Promise((resolve) => client.once("connect", resolve));
    const failure = new Promise((resolve) => client.once("error", resolve));
    await stack.close();
    expect(await failure).toMatchObject({ syscall: "read" });
    await new Promise((resolve) => server.close(resolve));
  } finally {
    api.uninstall();
  }
});

test("what packages took hold of before is ours once it is installed", async () => {
  // As a CommonJS package does when it is loaded.
  const { lookup, lookupService } = dns.promises;
  const { networkInterfaces } = os;
  const { connect } = net;
  const { connect: connectSecurely } = tls;
  const stack = await makeStack();
  const api = installNodeApi({ stack, resolver: createHosts({ names: { "here.test": "10.0.0.1" } }) });
  try {
    expect(await lookup("here.test")).toEqual({ address: "10.0.0.1", family: 4 });
    expect(await lookupService("127.0.0.1", 80)).toEqual({ hostname: "localhost", service: "http" });
    expect(Object.values(networkInterfaces()).flatMap((each) => each?.map(({ cidr }) => cidr))).toContain(
      "10.0.0.1/24",
    );
    const away = { port: 80, host: "192.0.2.1" };
    for (const open of [() => connect(away), () => connectSecurely(away)]) {
      const socket = open();
      expect(await new Promise((resolve) => socket.once("error", resolve))).toMatchObject({ code: "EHOSTUNREACH" });
    }
  } finally {
    api.uninstall();
    await stack.close();
  }
  expect(await lookup("127.0.0.1")).toEqual({ address: "127.0.0.1", family: 4 });
  expect(networkInterfaces()).toEqual(os.networkInterfaces());
  expect(Object.values(networkInterfaces()).flatMap((each) => each?.map(({ cidr }) => cidr))).not.toContain(
    "10.0.0.1/24",
  );
});

test("with IPv6: servers on ::, ::1 and an address of ours, connections of both families, datagrams", async () => {
  const stack = await makeStack(true);
  const resolver = createHosts({ names: { both: ["fd00::77", "10.0.0.1"], six: "fd00::1" } });
  const api = installNodeApi({ stack, resolver });
  try {
    const ask = async (host: string, port: number): Promise<string> => {
      const socket = net.connect({ host, port });
      let heard = "";
      socket.setEncoding("utf8").on("data", (text: string) => (heard += text));
      await new Promise((resolve, reject) => socket.once("close", resolve).once("error", reject));
      return heard;
    };
    const serve = async (host: string): Promise<net.Server> => {
      const server = net.createServer((socket) =>
        socket.end(`${socket.remoteFamily ?? ""} ${socket.localAddress ?? ""}`),
      );
      await new Promise<void>((resolve) => server.listen({ port: 0, host }, resolve));
      return server;
    };
    const all = await serve("::");
    const { port, address, family } = all.address() as net.AddressInfo;
    expect([address, family]).toEqual(["::", "IPv6"]);
    expect(await ask("::1", port)).toBe("IPv6 ::1");
    expect(await ask("fd00::1", port)).toBe("IPv6 fd00::1");
    expect(await ask("127.0.0.1", port)).toBe("IPv4 127.0.0.1");
    expect(await ask("six", port)).toBe("IPv6 fd00::1");
    // Node tries the families by turns: nobody is at the first address.
    expect(await ask("both", port)).toBe("IPv4 10.0.0.1");
    const own = await serve("fd00::1");
    await expect(ask("::1", (own.address() as net.AddressInfo).port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    for (const server of [all, own]) await new Promise((resolve) => server.close(resolve));
    const socket = dgram.createSocket("udp6");
    await new Promise<void>((resolve) => socket.bind(0, "::", resolve));
    const got = new Promise<string>((resolve) =>
      socket.once("message", (bytes, from) => resolve(`${bytes.toString()} ${from.family} ${from.address}`)),
    );
    socket.send("hello", socket.address().port, "::1");
    expect(await got).toBe("hello IPv6 ::1");
    await new Promise<void>((resolve) => socket.close(resolve));
  } finally {
    api.uninstall();
    await stack.close();
  }
}, 20_000);
