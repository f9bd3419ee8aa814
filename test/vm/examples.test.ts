import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { machineTypes } from "@tesserae/qemu/arguments";
import { unavailable } from "../namespace/namespace.ts";
import { buildForVm, patience, TestMachine, vmUnavailable, type TestMachineOptions } from "./test-machine.ts";

const reason = vmUnavailable();
const withoutDig = unavailable("dig");
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
      const dig = (...words: string[]): string =>
        execFileSync("dig", ["@127.0.0.1", "-p", String(server.port(5300)), "+timeout=20", "+tries=2", ...words], {
          encoding: "utf8",
        });
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
});

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
