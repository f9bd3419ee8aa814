import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { decodeBase64 } from "@tesserae/wire/base64";
import { createCompiledKv } from "./compiled.ts";

/** What the store accepts must decode, to the size that it told. */
export const fuzz: FuzzTarget = {
  name: "compiled-base64",
  seeds: ["", "aGVsbG8=", "aGVsbA==", "aGVs", "a===", "aGVsbG8"].map((text) => new TextEncoder().encode(text)),
  async run(input) {
    const text = String.fromCharCode(...input.subarray(0, 10_000));
    let decoded: Uint8Array | undefined;
    try {
      decoded = decodeBase64(text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    let kv;
    try {
      kv = createCompiledKv({ files: { file: { bytes: text, digest: "" } } });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return;
    }
    const size = (await kv.stat("file"))?.size;
    if (decoded === undefined || size !== decoded.length) throw new Error(`accepted ${JSON.stringify(text)}`);
  },
};
