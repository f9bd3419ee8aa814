// DNS over TLS and HTTPS, and transfers over TLS: kdig and curl as clients, our secondary with our primary.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { IpAddress } from "@tesserae/device/address";
import { createTlsExchange } from "@tesserae/dns/encrypted/tls-exchange";
import { createDnsOverHttps } from "@tesserae/dns/encrypted/https";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { createRecursive } from "@tesserae/dns/recursive/recursive";
import { portOf } from "@tesserae/dns/transfer/policy";
import { serve } from "@tesserae/http/server";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTls } from "@tesserae/node/tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { loopback, startOurs, textOf, until, zoneLines, zoneOf } from "./our-server.ts";

const run = promisify(execFile);
const apex = "example.test.";
const reason = unavailable("kdig", "curl", "openssl");
const client = IpAddress.loopback4;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe.skipIf(reason !== undefined)(`encrypted${reason === undefined ? "" : `: ${reason}`}`, () => {
  let folder: string;
  let certificate: string;
  let key: string;
  let authority: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "tesserae-tls-"));
    authority = path.join(folder, "certificate.pem");
    const args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=dns.test";
    const files = [
      "-addext",
      "subjectAltName=DNS:dns.test",
      "-keyout",
      path.join(folder, "key.pem"),
      "-out",
      authority,
    ];
    await run("openssl", [...args.split(" "), ...files]);
    certificate = await readFile(authority, "utf8");
    key = await readFile(path.join(folder, "key.pem"), "utf8");
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function started() {
    const ours = await startOurs({ transfer: [{ from: loopback }] }, [zoneOf(apex, zoneLines(apex, 1, 2000))]);
    closers.push(ours.close);
    const tls = createTls({ certificate, key, protocols: ["dot"] });
    const listener = await tls.listen({ port: 0, address: client }, (flow) => ours.server.serve(flow, "tls"));
    closers.push(() => listener.close());
    return { ours, port: listener.local.port };
  }

  test("kdig +tls: queries one after the other, padded (RFC 7858, RFC 8467), and a transfer", async () => {
    const { port } = await started();
    const tls = ["@127.0.0.1", "-p", String(port), `+tls-ca=${authority}`, "+tls-hostname=dns.test"];
    const { stdout } = await run("kdig", [...tls, "+padding=128", `ns.${apex}`, `mail.${apex}`, "AAAA"]);
    expect(stdout).toMatch(/TLS session \(TLS1\.3\)/);
    expect(stdout).toContain("2001:db8::25");
    expect(stdout).toMatch(/PADDING/i);
    const transfer = await run("kdig", [...tls, "AXFR", apex], { maxBuffer: 2 ** 24 });
    expect(transfer.stdout.split("\n").filter((line) => line.includes("192.0.2.")).length).toBe(2000);
    const wrong = run("kdig", [
      "@127.0.0.1",
      "-p",
      String(port),
      `+tls-ca=${authority}`,
      "+tls-hostname=other.test",
      apex,
    ]);
    await expect(wrong).rejects.toThrow();
  });

  test("RFC 8310 §5: a resolver asks servers with a name over TLS alone, on one connection, and only who has the name", async () => {
    const { ours, port } = await started();
    const [timers, random] = [createTimers(), createRandom()];
    let connections = 0;
    const resolverWith = (name: string, idle: number) => {
      const exchange = createTlsExchange({
        ...{ timers, idle, servers: [{ address: client, name, port }] },
        connect: (where, certified, signal) => {
          connections++;
          return createTls({ name: certified, authority: certificate, protocols: ["dot"] }).connect({
            ...where,
            signal,
          });
        },
        otherwise: () => Promise.reject(new Error("nobody is asked without TLS")),
      });
      const stub = [{ zone: apex, servers: [client] }];
      return createRecursive({ exchange, timers, random, stub, askLoopback: true });
    };
    const resolver = resolverWith("dns.test", 50);
    const ask = async (from: number): Promise<void> => {
      const names = Array.from({ length: 50 }, (_, index) => `host${from + index}.${apex}`);
      const answers = await Promise.all(names.map((name) => resolver.resolve(name, 1)));
      expect(answers.map(({ answers: [answer] }) => answer?.set.data[0]?.at(-1))).toEqual(
        names.map((_, index) => (from + index) % 250),
      );
    };
    await ask(0);
    expect(connections).toBe(1);
    // The connection ends when nobody asks, and there is another when somebody does.
    await until("the connection is gone", () => (ours.server.statistics().connections === 0 ? true : undefined));
    await ask(50);
    expect(connections).toBe(2);
    const wrong = await resolverWith("other.test", 50).resolve(`host1.${apex}`, 1);
    expect(wrong.rcode).toBe(2);
  });

  test("RFC 9103: a secondary transfers over TLS, from who has the name's certificate", async () => {
    const { ours, port } = await started();
    const name = nameFromText(apex);
    const secondary = await startOurs({}, [], {
      connectTls: (peer, signal) =>
        createTls({ name: peer.tls ?? "", authority: certificate, protocols: ["dot"] }).connect({
          ...{ address: peer.address, port: portOf(peer), signal },
        }),
    });
    closers.push(secondary.close);
    const peer = { address: client, port };
    secondary.keeper.secondaries.add(name, {
      primaries: [
        { ...peer, tls: "other.test" },
        { ...peer, tls: "dns.test" },
      ],
    });
    await until("the zone", () => secondary.zones.get(name));
    expect(textOf(secondary.zones.get(name))).toEqual(textOf(ours.zones.get(name)));
    expect(secondary.lines.filter((line) => line.includes("no zone from primary")).length).toBe(1);
    ours.zones.replace(zoneOf(apex, [...zoneLines(apex, 2, 2000), `new.${apex} 60 IN A 192.0.2.250`]));
    secondary.keeper.secondaries.add(name, { primaries: [{ ...peer, tls: "dns.test" }] });
    const soa = secondary.keeper.secondaries.notified(name, client, undefined, 2);
    expect(soa).toBe(true);
    await until("the new version", () => (secondary.zones.get(name)?.serial === 2 ? true : undefined));
    expect(secondary.lines.some((line) => line.includes('"how":"differences"'))).toBe(true);
  });

  test("RFC 8484: curl finds a host through our DNS over HTTPS", async () => {
    const { ours } = await started();
    const handler = createDnsOverHttps({ exchange: (message) => ours.server.exchange(message, "https", client, 1) });
    const tls = createTls({ certificate, key, protocols: ["http/1.1"] });
    const https = await serve({ tcp: tls, timers: createTimers(), port: 0, address: client, scheme: "https" }, handler);
    closers.push(() => https.close(0));
    const web = createServer((_request, response) => response.end("found"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    closers.push(() => web.close());
    // as: it listens on a port.
    const webPort = (web.address() as AddressInfo).port;
    const { port } = https.local;
    const doh = ["-sS", "-4", "--cacert", authority, "--resolve", `dns.test:${port}:127.0.0.1`];
    const url = `https://dns.test:${port}/dns-query`;
    const found = await run("curl", [
      ...doh,
      "--doh-insecure",
      "--doh-url",
      url,
      `http://ns.${apex.slice(0, -1)}:${webPort}/`,
    ]);
    expect(found.stdout).toBe("found");
    // A query for ns.example.test. A.
    const query = "AAABAAABAAAAAAAAAm5zB2V4YW1wbGUEdGVzdAAAAQAB";
    const { stdout } = await run("curl", [...doh, "-i", `${url}?dns=${query}`]);
    expect(stdout).toMatch(/^HTTP\/1\.1 200/);
    expect(stdout).toMatch(/cache-control: max-age=300/i);
    expect(stdout).toMatch(/content-type: application\/dns-message/i);
  });
});
