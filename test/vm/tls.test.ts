import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCertificate } from "../node-api/certificate.ts";
import { clientFor } from "../system/site-checks.ts";
import { withoutPrograms } from "../programs.ts";
import { buildForVm, patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// node:tls and node:https in a machine, and OpenSSL and curl on this host.

const reason = vmUnavailable() ?? withoutPrograms("curl", "openssl");

describe.skipIf(reason !== undefined)(`TLS in a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-vm-tls-"));
  const authority = path.join(folder, "authority.pem");
  let machine: TestMachine;

  beforeAll(async () => {
    const { key, cert } = makeCertificate("site.test");
    writeFileSync(authority, cert);
    machine = await TestMachine.start(await buildForVm("test/fixtures/apps/tls-server"), {
      commandLine: `key=${key.toString("base64url")} certificate=${cert.toString("base64url")}`,
      forward: [4433, 8443],
    });
    await machine.waitFor("both listen");
  }, patience);

  afterAll(async () => {
    expect(await machine.powerOff(), machine.output).toBe(0);
    rmSync(folder, { recursive: true, force: true });
  }, patience);

  /** Lets `openssl s_client` say a word, and end when it was answered. */
  function client(...flags: readonly string[]): Promise<{ readonly status: number | null; readonly said: string }> {
    const port = String(machine.port(4433));
    const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "site.test", "-CAfile", authority];
    const child = spawn("openssl", [...args, "-verify_return_error", "-ign_eof", ...flags]);
    let said = "";
    const take = (text: string): void => {
      said += text;
      if (said.includes("WHO IS THERE")) child.kill();
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    // It reads its input when the handshake is done.
    child.stdin.on("error", () => undefined);
    child.stdin.write("who is there\n");
    return new Promise((resolve) => child.once("close", (status) => resolve({ status, said })));
  }

  test.each(["-tls1_3", "-tls1_2"])(
    "openssl s_client %s",
    async (version) => {
      const { said } = await client(version);
      expect(said).toContain("Verify return code: 0 (ok)");
      expect(said).toMatch(version === "-tls1_3" ? /New, TLSv1\.3, Cipher is TLS_/ : /New, TLSv1\.2, Cipher is ECDHE/);
      expect(said).toContain("WHO IS THERE");
    },
    patience,
  );

  test(
    "a client of another time is refused",
    async () => {
      // The security level lets the client itself offer it.
      const { status, said } = await client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0");
      expect(status, said).toBe(1);
      expect(said).toMatch(/alert protocol version/);
    },
    patience,
  );

  test(
    "curl: a page, a large upload, several requests on one connection, and no trust without reason",
    async () => {
      const client = clientFor("");
      const shell = (command: string) => client.shell(command);
      const port = String(machine.port(8443));
      const curl = `curl -sS --max-time 120 --cacert ${authority} --resolve site.test:${port}:127.0.0.1`;
      const url = `https://site.test:${port}`;
      expect((await shell(`${curl} ${url}/page`)).stdout.toString()).toBe("GET /page: 0 bytes\n");
      const upload = `head -c 4000000 /dev/zero | ${curl} -T - ${url}/upload`;
      expect((await shell(upload)).stdout.toString()).toBe("PUT /upload: 4000000 bytes\n");
      const several = await shell(`${curl} -w '%{num_connects} ' -o /dev/null -o /dev/null ${url}/1 ${url}/2`);
      expect(several.stdout.toString()).toBe("1 0 ");
      const insecure = await shell(`curl -sSk --max-time 60 https://127.0.0.1:${port}/k`);
      expect(insecure.stdout.toString()).toBe("GET /k: 0 bytes\n");
      const distrusted = await shell(`curl -sS --max-time 60 https://127.0.0.1:${port}/`);
      expect([distrusted.status, distrusted.stderr]).toEqual([60, expect.stringContaining("certificate")]);
    },
    patience,
  );
});
