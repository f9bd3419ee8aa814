// A certificate for tests, made by openssl where that is installed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** A certificate of its own for `name` and an address, 127.0.0.1 by default. @throws Error when openssl is not there. */
export function makeCertificate(name: string, address = "127.0.0.1"): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "tesserae-certificate-"));
  try {
    const key = join(folder, "key.pem");
    const cert = join(folder, "cert.pem");
    const made = spawnSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-keyout", key, "-out", cert, "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name},IP:${address}`],
    ]);
    if (made.status !== 0) throw new Error(`openssl made no certificate: ${String(made.error ?? made.stderr)}`);
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
