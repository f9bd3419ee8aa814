import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { machineTypes } from "@tesserae/qemu/arguments";
import { quoteWord } from "@tesserae/vm/command-line";
import { nsd } from "../dns/servers/nsd.ts";
import { startServer } from "../dns/servers/running.ts";
import { unavailable } from "../namespace/namespace.ts";
import { signZoneFile } from "../resolver/signed-tree.ts";
import { buildForVm, patience, TestMachine, vmUnavailable, type TestMachineOptions } from "./test-machine.ts";

const reason = vmUnavailable();
const withoutDig = unavailable("dig");
const withoutTree = unavailable("dig", "nsd", "dnssec-keygen", "dnssec-signzone");
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

async function start(example: string, options: TestMachineOptions): Promise<TestMachine> {
  machine = await TestMachine.start(await buildForVm(`examples/${example}`), options);
  return machine;
}

describe.skipIf(reason !== undefined)(`the examples in a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each(machineTypes)(
    "hello ends by itself, on %s",
    async (type) => {
      const { exited } = await start("hello", { machine: type, commandLine: "name=you times=2", networks: [] });
      expect(await exited, machine?.output).toBe(0);
      expect(machine?.output).toContain("hello, you (1 of 2)\nhello, you (2 of 2)\n");
    },
    patience,
  );

  test.each(machineTypes)(
    "echo answers over TCP and UDP, and ends at the power button, on %s",
    async (type) => {
      const { output } = await start("echo", { machine: type, forward: [7007] });
      expect(output).toBe("");
      await machine?.waitFor("echoing");
      const port = machine?.port(7007) ?? 0;
      expect(await overTcp(port, "over TCP")).toBe("over TCP");
      expect(await overUdp(port, "over UDP")).toBe("over UDP");
      expect(await machine?.powerOff(), machine?.output).toBe(0);
    },
    patience,
  );

  test.each(machineTypes)(
    "www serves its pages, on %s",
    async (type) => {
      const www = await start("www", {
        machine: type,
        commandLine: "port=80 ipv4=10.0.2.15/24 gateway=10.0.2.2",
        forward: [80],
      });
      await www.waitFor("serving");
      const page = await fetch(`http://127.0.0.1:${String(www.port(80))}/api/hello/you`);
      expect([page.status, await page.text()]).toEqual([200, '{"hello":"you"}']);
      expect(await www.powerOff(), www.output).toBe(0);
    },
    patience,
  );

  test.skipIf(withoutDig !== undefined)(
    `nameserver answers dig over UDP and TCP${withoutDig === undefined ? "" : ` (${withoutDig})`}`,
    async () => {
      const server = await start("nameserver", { machine: "microvm", forward: [5300] });
      await server.waitFor("answering");
      const dig = asker(server.port(5300));
      expect(dig("+short", "ftp.example.org").split("\n")).toEqual(["www.example.org.", "192.0.2.80", ""]);
      expect(dig("+short", "+tcp", "host77.example.org")).toBe("10.0.0.77\n");
      const missing = dig("nobody.example.org");
      expect(missing).toMatch(/status: NXDOMAIN[^]*flags: qr aa[^]*\bSOA\b/);
      expect(dig("+noall", "+answer", "+tcp", "example.org", "AXFR")).toContain("Transfer failed");
      expect(await server.powerOff(), server.output).toBe(0);
      expect(server.output).toContain("answered");
    },
    patience,
  );

  test.skipIf(withoutTree !== undefined)(
    `resolver answers dig from a signed root, over UDP and TCP${withoutTree === undefined ? "" : ` (${withoutTree})`}`,
    async () => {
      const folder = mkdtempSync(path.join(tmpdir(), "tesserae-vm-resolver-"));
      const lines = ["$TTL 300", "@ SOA ns admin 1 3600 900 604800 60", "@ NS ns", "ns A 10.0.2.2", "www A 192.0.2.80"];
      const { file, ds } = signZoneFile(folder, ".", `${[...lines, "alias CNAME www"].join("\n")}\n`);
      const upstream = await startServer(nsd, [{ apex: ".", file }], folder);
      try {
        // For the machine its gateway is this host.
        const anchors = quoteWord(`anchors=${ds.trim().replaceAll("\n", ";")}`);
        const commandLine = `roots=ns=10.0.2.2 upstream-port=${String(upstream.port)} ${anchors}`;
        const resolver = await start("resolver", { machine: "microvm", commandLine, forward: [53] });
        await resolver.waitFor("resolving");
        const dig = asker(resolver.port(53));
        expect(dig("+short", "alias").split("\n")).toEqual(["www.", "192.0.2.80", ""]);
        expect(dig("+tcp", "+dnssec", "www")).toMatch(/status: NOERROR[^]*flags: qr rd ra ad;[^]*RRSIG/);
        expect(dig("+adflag", "nobody")).toMatch(/status: NXDOMAIN[^]*flags: qr rd ra ad;/);
        // From what was learnt.
        await upstream.close();
        expect(dig("+short", "www")).toBe("192.0.2.80\n");
        expect(await resolver.powerOff(), resolver.output).toBe(0);
        expect(resolver.output).toMatch(/resolved .*hits=/);
      } finally {
        await upstream.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
    patience,
  );
});

/** What dig says of a server at a port of this host. */
function asker(port: number): (...words: string[]) => string {
  const at = ["@127.0.0.1", "-p", String(port), "+timeout=20", "+tries=2"];
  return (...words) => execFileSync("dig", [...at, ...words], { encoding: "utf8" });
}

function overTcp(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = connect(port, "127.0.0.1", () => socket.end(text));
    socket.setEncoding("utf8").on("data", (piece: string) => (got += piece));
    socket.once("error", reject).once("close", () => resolve(got));
  });
}

function overUdp(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.once("message", (bytes) => socket.close(() => resolve(bytes.toString())));
    socket.send(text, port, "127.0.0.1");
  });
}
