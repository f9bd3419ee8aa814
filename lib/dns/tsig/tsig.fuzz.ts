import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { createCrypto } from "@tesserae/node/crypto";
import { fromHex, toHex } from "@tesserae/wire/hex";
import { makeKey, TsigKeyring } from "./key.ts";
import { findTsig, withTsig } from "./record.ts";
import { signRequest, verifyRequest } from "./tsig.ts";

const crypto = createCrypto();
const key = makeKey("key", "hmac-sha256", "c2VjcmV0");
const keys = new TsigKeyring([key]);
const query = fromHex("1234 0100 0001 0000 0000 0000 07 6578616d706c65 00 0006 0001");
const signed = signRequest(crypto, key, query, 1000).message;

/** What is read writes itself again; nobody can sign but who has the key; every "no" has an answer that can be read. */
export const fuzz: FuzzTarget = {
  name: "tsig",
  seeds: [query, signed, signRequest(crypto, key, signed, 1000).message],
  run(input) {
    const found = findTsig(input);
    const verified = verifyRequest(crypto, keys, input, 1000);
    if (found.kind === "tsig") {
      const plain = input.slice(0, found.at);
      const counted = ((input[10] ?? 0) << 8) | (input[11] ?? 0);
      plain[10] = (counted - 1) >>> 8;
      plain[11] = counted - 1;
      const again = findTsig(withTsig(plain, found.record));
      if (again.kind !== "tsig" || toHex(again.record.mac) !== toHex(found.record.mac))
        throw new Error("lost its code");
    }
    if (verified.kind === "good" && toHex(verified.message) !== toHex(query)) {
      throw new Error(`a forgery: ${toHex(input)}`);
    }
    if (verified.kind === "bad" && verified.response.length > 0) {
      if (findTsig(verified.response).kind === "malformed")
        throw new Error(`the answer to ${toHex(input)} is malformed`);
      if (verified.response.length > input.length + 300) throw new Error("the answer is much longer than the request");
    }
    signRequest(crypto, key, query, 1000).answers.verify(input, 1000);
  },
};
