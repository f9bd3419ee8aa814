import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { obtainNode, type NodeRuntime } from "./node-runtime.ts";
import { prepareNode } from "./prepare-node.ts";
import { skipping } from "../../test/programs.ts";

const runs = process.platform === "linux" && process.arch === "x64";
const node: NodeRuntime | string = runs
  ? await obtainNode().catch((error: unknown) => String(error))
  : "programs for Linux on x86-64 do not run here";
if (typeof node === "string") console.warn(`skipped: ${skipping(node) ?? ""}`);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-prepare-"));
  if (typeof node === "string") return;
  writeFileSync(path.join(folder, "whole"), node.bytes, { mode: 0o755 });
  writeFileSync(path.join(folder, "prepared"), prepareNode(node, "en").program, { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true }));

function output(program: string, script: string): string {
  const argv = ["--input-type=module", "-e", `const print = (it) => console.log(JSON.stringify(it));${script}`];
  const ran = spawnSync(path.join(folder, program), argv, { encoding: "utf8", maxBuffer: 1 << 26 });
  return `${ran.stdout}${ran.stderr}status ${String(ran.status)}`;
}

// https://encoding.spec.whatwg.org/#names-and-labels, without x-user-defined and replacement
const encodings = [
  ...["utf-8", "ibm866", "koi8-r", "koi8-u", "macintosh", "x-mac-cyrillic", "utf-16be", "utf-16le"],
  ...[2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16].map((part) => `iso-8859-${String(part)}`),
  ...["iso-8859-8-i", "windows-874", ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map((page) => `windows-125${String(page)}`)],
  ...["gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr"],
];

describe.skipIf(typeof node === "string")("Node.js made ready for an image", () => {
  test.each<[string, string]>([
    ["starts", "print([process.version, process.versions])"],
    [
      "decodes every encoding of the Encoding Standard",
      `const pairs = Uint8Array.from({ length: 2 * 65536 }, (_, i) => (i & 1 ? i >> 1 : i >> 9) & 255);
       const kana = Uint8Array.from([27, 36, 66, 36, 34, 36, 36, 27, 40, 74, 92, 27, 40, 66, 65]);
       for (const name of ${JSON.stringify(encodings)}) {
         const text = new TextDecoder(name).decode(pairs);
         print([name, new TextDecoder(name).decode(kana), text.length]);
         print(await crypto.subtle.digest("SHA-256", Buffer.from(text)).then((sum) => Buffer.from(sum).toString("hex")));
       }`,
    ],
    [
      "speaks English",
      `const date = new Date(Date.UTC(2026, 1, 3, 4, 5, 6));
       for (const locale of ["en", "en-GB", "en-US"]) {
         print(new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "full", timeZone: "Asia/Tokyo" }).format(date));
         print(new Intl.NumberFormat(locale, { style: "currency", currency: "JPY", currencyDisplay: "name" }).format(1e6));
         print(new Intl.NumberFormat(locale, { style: "unit", unit: "kilometer-per-hour", unitDisplay: "long" }).format(7));
         print(new Intl.DisplayNames(locale, { type: "language" }).of("de-AT"));
         print(new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-1, "day"));
         print(new Intl.ListFormat(locale).format(["a", "b", "c"]));
         print(new Intl.PluralRules(locale, { type: "ordinal" }).select(3));
         print([..."zaZäAöÖ"].sort(new Intl.Collator(locale).compare));
         print([...new Intl.Segmenter(locale, { granularity: "word" }).segment("Hello, wörld. Hi")].map((s) => s.segment));
       }
       print(Intl.supportedValuesOf("timeZone"));
       print(["İ".toLocaleLowerCase("tr"), "ﬁ".toLocaleUpperCase(), "Å".normalize("NFD"), /\\p{Script=Greek}/u.test("λ")]);
       print(new URL("https://bücher.example/").host);`,
    ],
    [
      "runs threads, WebAssembly, cryptography, compression and fetch",
      `import { Worker } from "node:worker_threads"; import zlib from "node:zlib"; import { once } from "node:events";
       const code = "import { parentPort } from 'node:worker_threads'; parentPort.postMessage(6 * 7)";
       const worker = new Worker(new URL("data:text/javascript," + code));
       print(await once(worker, "message"));
       print(WebAssembly.validate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)));
       print(zlib.brotliDecompressSync(zlib.brotliCompressSync("hello")).toString());
       print(await (await fetch("data:text/plain,hi")).text());
       import crypto from "node:crypto"; print(crypto.createHash("sha3-256").update("x").digest("hex"));
       const { publicKey } = crypto.generateKeyPairSync("ed25519"); print(publicKey.asymmetricKeyType);`,
    ],
    ["throws and catches", `try { null.x } catch (error) { print(String(error)) } throw new RangeError("as before")`],
  ])("%s as before", (_, script) => {
    const whole = output("whole", script);
    expect(output("prepared", script)).toBe(whole);
    expect(whole).toMatch(script.includes("as before") ? /RangeError: as before[^]*status 1$/ : /\nstatus 0$/);
  });

  test("has no other language, and says so", () => {
    const script = `print([Intl.NumberFormat.supportedLocalesOf(["de", "en-AU"]), new Intl.DateTimeFormat("de").resolvedOptions().locale])`;
    expect(output("prepared", script)).toBe(`[["en-AU"],"en-US"]\nstatus 0`);
  });

  test("refuses TypeScript with an error", () => {
    const script = `import { stripTypeScriptTypes } from "node:module"; try { stripTypeScriptTypes("let a: 1") } catch (e) { print(e.name) }`;
    expect(output("prepared", script)).toContain(`"CompileError"`);
  });
});

test("a program for another machine is refused", () => {
  const bytes = Buffer.alloc(64);
  bytes.write("\x7fELF\x02\x01\x01", "latin1");
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(183, 18);
  expect(() => prepareNode({ version: "1.0.0", bytes, sha256: "" }, "en")).toThrow(
    "Node.js 1.0.0 is no program for x86-64",
  );
});
