import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { fromHex, toHex } from "@tesserae/wire/hex";
import { createCrypto } from "@tesserae/node/crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { makeKey, parseKey, parseKeys, TsigKeyring, tsigAlgorithms } from "./key.ts";
import { findTsig, tsigError, withTsig } from "./record.ts";
import { signRequest, verifyRequest } from "./tsig.ts";

const crypto = createCrypto();
const now = 1_700_000_000;
const secret = "c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM=";
const key = makeKey("Key.Example.", "hmac-sha256", secret);
const keys = new TsigKeyring([key]);
/** A query for example. SOA. */
const query = fromHex("1234 0100 0001 0000 0000 0000 07 6578616d706c65 00 0006 0001");

function errorOf(message: Uint8Array): number {
  const found = findTsig(message);
  return found.kind === "tsig" ? found.record.error : -1;
}

function good(message: Uint8Array, at = now) {
  const verified = verifyRequest(crypto, keys, message, at);
  if (verified.kind !== "good") throw new Error(verified.kind === "bad" ? verified.why : verified.kind);
  return verified;
}

function bad(message: Uint8Array, at = now, ring = keys) {
  const verified = verifyRequest(crypto, ring, message, at);
  if (verified.kind !== "bad") throw new Error(verified.kind);
  return verified;
}

describe("RFC 8945", () => {
  test.each(tsigAlgorithms.map((each) => each.text))("%s: a request and its answer verify", (method) => {
    const own = makeKey("k.", method, secret);
    const request = signRequest(crypto, own, query, now);
    const verified = verifyRequest(crypto, new TsigKeyring([own]), request.message, now + 299);
    if (verified.kind !== "good") throw new Error(verified.kind);
    expect(verified.message).toEqual(query);
    const answer = verified.session.sign(verified.message, now);
    expect(answer.length).toBe(query.length + verified.session.overhead);
    expect(request.answers.verify(answer, now)).toEqual({ kind: "good", message: query });
    expect(request.answers.settled).toBe(true);
  });

  test("§4.3: the code is the one that dig 9.18 makes", () => {
    // dig -y hmac-sha256:key.example:… +noedns SOA example, captured.
    const found = findTsig(captured);
    if (found.kind !== "tsig") throw new Error(found.kind);
    expect(good(captured, found.record.timeSigned).message.length).toBe(found.at);
  });

  test("property: a request in which any bit differs is not believed", () => {
    const signed = signRequest(crypto, key, query, now).message;
    fc.assert(
      fc.property(fc.nat(signed.length * 8 - 1), (bit) => {
        const broken = signed.slice();
        broken[bit >>> 3] = broken[bit >>> 3]! ^ (1 << (bit & 7));
        const verified = verifyRequest(crypto, keys, broken, now);
        // The number of a message may change on the way: the original one is in the record. Names have no case.
        if (verified.kind === "good") expect(verified.message).toEqual(query);
        else expect(["bad", "plain"]).toContain(verified.kind);
      }),
    );
  });

  test("§5.2.1: an unknown key, or the key with another algorithm, is BADKEY, unsigned", () => {
    const other = makeKey("other.", "hmac-sha256", secret);
    const twin = makeKey("key.example.", "hmac-sha512", secret);
    for (const wrong of [other, twin]) {
      const request = signRequest(crypto, wrong, query, now);
      const { response, why } = bad(request.message);
      expect(why).toBe("BADKEY");
      expect(response[3]! & 15).toBe(9);
      expect(errorOf(response)).toBe(tsigError.badKey);
      expect(request.answers.verify(response, now)).toMatchObject({ kind: "bad", error: tsigError.badKey });
    }
  });

  test("§5.2.2: a wrong secret is BADSIG, unsigned", () => {
    const wrong = makeKey("key.example.", "hmac-sha256", "b3RoZXI=");
    const { response } = bad(signRequest(crypto, wrong, query, now).message);
    const found = findTsig(response);
    expect(found).toMatchObject({ kind: "tsig", record: { error: tsigError.badSignature, mac: new Uint8Array() } });
  });

  test("§5.2.3: another time is BADTIME, signed, and says ours", () => {
    const request = signRequest(crypto, key, query, now);
    const { response } = bad(request.message, now + 301);
    const found = findTsig(response);
    if (found.kind !== "tsig") throw new Error(found.kind);
    expect(found.record).toMatchObject({ error: tsigError.badTime, timeSigned: now });
    expect(toHex(found.record.other)).toBe((now + 301).toString(16).padStart(12, "0"));
    expect(request.answers.verify(response, now)).toMatchObject({ kind: "bad", error: tsigError.badTime });
    good(request.message, now - 300);
  });

  test("§5.2.2.1, §5.2.4: a code too short for anybody is FORMERR, one too short for us BADTRUNC", () => {
    const request = signRequest(crypto, key, query, now);
    const found = findTsig(request.message);
    if (found.kind !== "tsig") throw new Error(found.kind);
    const cut = (length: number) => withTsig(query, { ...found.record, mac: found.record.mac.slice(0, length) });
    const short = bad(cut(15));
    expect(errorOf(short.response)).toBe(-1);
    expect(short.response[3]! & 15).toBe(1);
    expect(errorOf(bad(cut(16)).response)).toBe(tsigError.badTruncation);
    const wrong = withTsig(query, { ...found.record, mac: new Uint8Array(16) });
    expect(errorOf(bad(wrong).response)).toBe(tsigError.badSignature);
  });

  test("§5.1: a TSIG record that is not the last, or there twice, is FORMERR", () => {
    const signed = signRequest(crypto, key, query, now).message;
    const twice = signRequest(crypto, key, signed, now).message;
    const { response } = bad(twice);
    expect(response[3]! & 15).toBe(1);
    const answer = signed.slice();
    answer[7] = 1;
    answer[11] = 0;
    expect(bad(answer).response[3]! & 15).toBe(1);
  });

  test("what is not signed is passed on", () => {
    expect(verifyRequest(crypto, keys, query, now)).toEqual({ kind: "plain", message: query });
  });

  test("§5.3.1: in a stream up to 99 messages between signed ones need no signature", () => {
    const random = new SeededRandom(4);
    const message = (): Uint8Array => {
      const bytes = query.slice();
      bytes[1] = random.uint32();
      return bytes;
    };
    for (const gap of [0, 1, 7, 99, 100]) {
      const request = signRequest(crypto, key, query, now);
      const { session } = good(request.message);
      expect(request.answers.verify(session.sign(query, now), now).kind).toBe("good");
      let kind: string = "good";
      for (let count = 0; count < gap; count++) kind = request.answers.verify(message(), now).kind;
      if (gap === 100) {
        expect(kind).toBe("bad");
        continue;
      }
      expect(request.answers.settled).toBe(gap === 0);
    }
  });

  test("§5.3.1: a stream whose middle was changed or left out is not believed", () => {
    const request = signRequest(crypto, key, query, now);
    const { session } = good(request.message);
    const [first, second, third] = [1, 2, 3].map(() => session.sign(query, now));
    expect(request.answers.verify(first!, now).kind).toBe("good");
    expect(request.answers.verify(third!, now).kind).toBe("bad");
    expect(request.answers.verify(second!, now).kind).toBe("good");
    expect(request.answers.verify(third!, now).kind).toBe("good");
  });

  test("an answer that is not signed, or not for this request, is not believed", () => {
    const request = signRequest(crypto, key, query, now);
    expect(request.answers.verify(query, now)).toMatchObject({ kind: "bad" });
    const other = signRequest(crypto, key, query, now + 1);
    expect(request.answers.verify(good(other.message).session.sign(query, now), now).kind).toBe("bad");
  });
});

describe("keys", () => {
  test("from a text like BIND's, with its comments", () => {
    const text = `
      # one
      key "Transfer.Example." { algorithm HMAC-SHA512; secret "${secret}"; }; // two
      /* three
         lines */ key update { secret ${secret}; algorithm hmac-sha256.; };`;
    const found = [...parseKeys(text)];
    expect(found.map((each) => each.algorithm.text)).toEqual(["hmac-sha512", "hmac-sha256"]);
    expect(parseKeys(text).get(nameFromText("TRANSFER.example"))?.secret.length).toBe(32);
  });

  test.each([
    ["lock a { };", '"lock" where "key" is expected'],
    ["key a {\n algorithm hmac-sha256; };", 'keys:1: the key "a" needs'],
    ["key a { algorithm hmac-md5; secret aaaa; };", 'no algorithm "hmac-md5": there are hmac-sha1,'],
    ["key a { algorithm hmac-sha1; secret a; };", "the secret is not base64"],
    ['key a { algorithm hmac-sha1; secret ""; };', "the secret is empty"],
    ['key "a', "a text without its second quote"],
    ["key a { algorithm hmac-sha1 secret", 'where ";" is expected'],
    ["key a { secret aaaa; secret aaaa; };", '"secret" for the second time'],
    ['key a { algorithm hmac-sha1; secret "aaaa"; };'.repeat(2), 'there are two keys "a"'],
  ])("%j is refused with the place", (text, message) => {
    expect(() => parseKeys(text)).toThrow(message);
  });

  test("from the form that dig -y takes", () => {
    expect(parseKey(`hmac-sha384:a.b:${secret}`).algorithm.text).toBe("hmac-sha384");
    expect(parseKey(`a.b:${secret}`).algorithm.text).toBe("hmac-sha256");
    expect(() => parseKey(secret)).toThrow(RangeError);
  });

  test("a secret is in no error", () => {
    let message = "";
    try {
      parseKey("name:not!base64");
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("not base64");
    expect(message).not.toContain("not!base64");
  });
});

const captured = fromHex(
  "f5b001200001000000000001076578616d706c650000060001036b6579076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006b01cb6f012c0020e100f586609cf4a0f1411dcf7a696165e76e2ea66425868f807a65c96bd24cbdf5b000000000",
);
