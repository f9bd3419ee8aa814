// Node's modules over our stack on a tap device, against programs on the kernel's TCP/IP.
import { createHash } from "node:crypto";
import dns from "node:dns";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { createStubResolver } from "@tesserae/dns/stub-resolver";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { installNodeApi, type NodeApi } from "@tesserae/node-api/install";
import { createTap } from "@tesserae/tap/netif";
import { createHosts } from "@tesserae/tcpip/hosts";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { bundleProgram } from "./program.ts";

const reason = unavailable("curl", "dnsmasq", "openssl");
const own = "10.2.0.2";
const peer = "10.2.0.1";

let namespace: Namespace;
let api: NodeApi;
let certificate: Certificate;
let folder: string;
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  if (reason !== undefined) return;
  certificate = makeCertificate("site.test");
  folder = mkdtempSync(join(tmpdir(), "tesserae-peers-"));
  writeFileSync(join(folder, "key.pem"), certificate.key);
  writeFileSync(join(folder, "cert.pem"), certificate.cert);
  namespace = Namespace.create();
  const leave = await namespace.enter();
  const device = await createTap({ name: "t0", hostAddress: Prefix.parse(`${peer}/24`) });
  leave();
  const timers = createTimers();
  const random = createRandom();
  const address = Prefix.parse(`${own}/24`);
  const ipv4 = { kind: "static", address, gateway: IpAddress.parse(peer) } as const;
  const stack = await createStack({ netif: device, timers, random, ipv4 });
  const resolver = createStubResolver({
    udp: stack.udp,
    tcp: stack.tcp,
    timers,
    random,
    servers: [IpAddress.parse(peer)],
    hosts: createHosts({ names: { "own.test": own } }),
    families: [4, 6],
  });
  api = installNodeApi({ stack, resolver });
  undo.push(
    () => api.uninstall(),
    () => stack.close(),
    () => timers.close(),
    () => namespace.destroy(),
    () => rmSync(folder, { recursive: true }),
  );
});
afterAll(async () => {
  for (const each of undo) await each();
});

const curl = (...args: string[]): Promise<string> =>
  namespace.succeeds("curl", ["-sS", "--max-time", "20", "--cacert", join(folder, "cert.pem"), ...args]);

/** Starts a program in the namespace and waits until it has a line to say. */
async function start(program: string, args: readonly string[]): Promise<string> {
  const child = namespace.start(program, args);
  child.stderr?.on("data", (data: Buffer) => process.stderr.write(data));
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return line.toString().trim();
}

async function close(server: net.Server): Promise<void> {
  if (server instanceof http.Server || server instanceof https.Server) server.closeAllConnections();
  server.close();
  await once(server, "close");
}

describe.skipIf(reason !== undefined)(`peers on the kernel${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("curl sends and gets megabytes of node:http, and keeps the connection", async () => {
    const body = Buffer.alloc(8_000_000, "0123456789abcdef!");
    const file = join(folder, "body");
    writeFileSync(file, body);
    const connections = new Set<unknown>();
    const server = http.createServer((request, response) => {
      connections.add(request.socket);
      const hash = createHash("sha256");
      request.on("data", (data: Buffer) => hash.update(data));
      request.on("end", () => (request.method === "POST" ? response.end(hash.digest("hex")) : response.end(body)));
    });
    await once(server.listen(80, own), "listening");
    const hash = createHash("sha256").update(body).digest("hex");
    const answer = await curl(
      "--data-binary",
      `@${file}`,
      "-H",
      "Expect:",
      `http://${own}/`,
      "--next",
      `http://${own}/`,
      "-o",
      file,
    );
    expect(answer).toBe(hash);
    expect(namespace.run("sha256sum", [file]).slice(0, 64)).toBe(hash);
    expect(connections.size).toBe(1);
    await close(server);
  });

  test("curl and openssl s_client over node:https", async () => {
    const server = https.createServer(certificate, (request, response) => {
      response.end(`hello ${String(request.headers.host)} ${"x".repeat(200_000)}`);
    });
    await once(server.listen(443), "listening");
    expect(await curl("--resolve", `site.test:443:${own}`, "https://site.test/")).toMatch(
      /^hello site\.test x{200000}$/,
    );
    const shown = await namespace.succeeds("sh", [
      "-c",
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect ${own}:443 -servername site.test -CAfile ${folder}/cert.pem -ign_eof`,
    ]);
    expect(shown).toContain("Verify return code: 0 (ok)");
    expect(shown).toContain("HTTP/1.1 200 OK");
    await close(server);
  });

  test("Express, Fastify and Hono answer, unmodified", async () => {
    expect(await start(process.execPath, [await bundleProgram("frameworks")])).toBe("ready");
    for (const port of [3001, 3002, 3003]) {
      const text = await curl("--json", '{"from":"curl"}', `http://10.3.0.2:${port}/hello/world`);
      expect(JSON.parse(text)).toEqual({ from: "curl", hello: "world", ip: "10.3.0.1" });
    }
  });

  test("fetch and node:https ask servers on the kernel", async () => {
    const script = `
      const options = { key: fs.readFileSync(${JSON.stringify(`${folder}/key.pem`)}), cert: fs.readFileSync(${JSON.stringify(`${folder}/cert.pem`)}) };
      const answer = (q, r) => { let n = 0; q.on("data", (d) => (n += d.length)); q.on("end", () => r.end(q.method + n + "x".repeat(1e6))); };
      http.createServer(answer).listen(8080, "${peer}", () =>
        https.createServer(options, answer).listen(8443, "${peer}", () => console.log("ready")));`;
    expect(await start(process.execPath, ["-e", script])).toBe("ready");
    const response = await fetch(`http://${peer}:8080/`, { method: "POST", body: "y".repeat(500_000) });
    const text = await response.text();
    expect([text.slice(0, 10), text.length]).toEqual(["POST500000", 1_000_010]);
    const request = https.get({ host: peer, port: 8443, servername: "site.test", ca: certificate.cert });
    const [secure] = (await once(request, "response")) as [http.IncomingMessage];
    let length = 0;
    for await (const part of secure as AsyncIterable<Buffer>) length += part.length;
    expect(length).toBe(1_000_004);
    await expect(fetch(`http://${peer}:9999/`)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  });

  test("a reader that is paused closes the window of the peer's TCP", async () => {
    const server = net.createServer({ pauseOnConnect: true });
    await once(server.listen(5000), "listening");
    const script = `
      const socket = net.connect(5000, "${own}", () => socket.write(Buffer.alloc(64 << 20)));
      setTimeout(() => console.log(socket.writableLength), 700);
      socket.on("close", () => process.exit());`;
    const told = start(process.execPath, ["-e", script]);
    const [socket] = (await once(server, "connection")) as [net.Socket];
    expect(Number(await told)).toBeGreaterThan(0);
    expect(socket.bytesRead).toBe(0);
    let length = 0;
    for await (const part of socket as AsyncIterable<Buffer>) {
      length += part.length;
      if (length === 64 << 20) break;
    }
    expect(length).toBe(64 << 20);
    socket.destroy();
    await close(server);
  });

  test("a peer that goes on sending to a closed socket is reset", async () => {
    const server = net.createServer((socket) => socket.destroy());
    await once(server.listen(5001), "listening");
    const script = `
      const socket = net.connect({ port: 5001, host: "${own}", allowHalfOpen: true });
      socket.on("error", (error) => { console.log(error.code); process.exit(); });
      setInterval(() => socket.write(Buffer.alloc(100000)), 10);`;
    expect(await start(process.execPath, ["-e", script])).toMatch(/^(ECONNRESET|EPIPE)$/);
    await close(server);
  });

  test("node:dns against dnsmasq: every kind of record, TCP for long ones, and names that are not there", async () => {
    const child = namespace.start("dnsmasq", [
      ...["-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--listen-address", peer, "--bind-interfaces"],
      ...["--port", "53", "--user=root", "--log-facility=-", "--local=/test/", "--auth-ttl=60"],
      ...[
        "--host-record=www.test,10.9.0.1,2001:db8::1",
        "--host-record=two.test,10.9.0.2",
        "--cname=alias.test,www.test",
      ],
      ...[
        "--mx-host=test,mail.test,10",
        "--srv-host=_sip._udp.test,two.test,5060,1,2",
        "--txt-record=text.test,one,two",
      ],
      ...["--naptr-record=naptr.test,100,50,s,SIP+D2U,,_sip._udp.test", "--caa-record=test,0,issue,ca.test"],
      ...Array.from({ length: 40 }, (_, index) => `--txt-record=long.test,${String(index).padEnd(200, ".")}`),
    ]);
    child.stderr?.resume();
    // It says nothing when it is ready.
    for (let attempt = 0; attempt < 100; attempt++) {
      const found = await dns.promises.lookup("www.test").catch(() => undefined);
      if (found !== undefined) break;
      await sleep(50);
    }
    const { promises } = dns;
    expect(await promises.lookup("www.test")).toEqual({ address: "10.9.0.1", family: 4 });
    expect(await promises.lookup("www.test", { all: true })).toEqual([
      { address: "10.9.0.1", family: 4 },
      { address: "2001:db8::1", family: 6 },
    ]);
    expect(await promises.lookup("www.test", { family: 6 })).toEqual({ address: "2001:db8::1", family: 6 });
    // Only of the families that we have an address of.
    expect(await promises.lookup("www.test", { all: true, hints: dns.ADDRCONFIG })).toHaveLength(1);
    expect(await promises.lookup("own.test")).toEqual({ address: own, family: 4 });
    expect(await promises.resolve4("alias.test")).toEqual(["10.9.0.1"]);
    expect((await promises.resolve4("www.test", { ttl: true }))[0]?.address).toBe("10.9.0.1");
    expect(await promises.resolve6("www.test")).toEqual(["2001:db8::1"]);
    expect(await promises.resolveCname("alias.test")).toEqual(["www.test"]);
    expect(await promises.resolveMx("test")).toEqual([{ exchange: "mail.test", priority: 10 }]);
    expect(await promises.resolveSrv("_sip._udp.test")).toEqual([
      { name: "two.test", port: 5060, priority: 1, weight: 2 },
    ]);
    expect(await promises.resolveTxt("text.test")).toEqual([["one", "two"]]);
    expect(await promises.resolveTxt("long.test")).toHaveLength(40);
    expect(await promises.resolveNaptr("naptr.test")).toEqual([
      { flags: "s", service: "SIP+D2U", regexp: "", replacement: "_sip._udp.test", order: 100, preference: 50 },
    ]);
    expect(await promises.resolveCaa("test")).toEqual([{ critical: 0, issue: "ca.test" }]);
    expect(await promises.reverse("10.9.0.2")).toEqual(["two.test"]);
    expect(await promises.lookupService("10.9.0.2", 443)).toEqual({ hostname: "two.test", service: "https" });
    await expect(promises.lookup("missing.test")).rejects.toMatchObject({ code: "ENOTFOUND", syscall: "getaddrinfo" });
    await expect(promises.resolve4("missing.test")).rejects.toMatchObject({ code: "ENOTFOUND", syscall: "queryA" });
    await expect(promises.resolveMx("two.test")).rejects.toMatchObject({ code: "ENODATA" });
    expect(dns.getServers()).toEqual([peer]);
    const resolver = new dns.promises.Resolver();
    resolver.setServers([`${peer}:5353`]);
    expect(resolver.getServers()).toEqual([`${peer}:5353`]);
    const waiting = resolver.resolve4("www.test");
    resolver.cancel();
    await expect(waiting).rejects.toMatchObject({ code: "ECANCELLED" });
  });
});
