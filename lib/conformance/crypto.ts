import type { Crypto, HashAlgorithm, SignatureAlgorithm, SigningAlgorithm } from "@tesserae/device/crypto";
import type { Random } from "@tesserae/device/random";
import { fromHex, toHex } from "@tesserae/wire/hex";
import { ensure, ensureEqual, ensureThrows } from "./assert.ts";
import { SeededRandom } from "./seeded-random.ts";
import { defineCase, type Suite } from "./suite.ts";

const ascii = new TextEncoder();

/** FIPS 180-4: the digests of "abc". */
const digests: Readonly<Record<HashAlgorithm, string>> = {
  sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha224: "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
  sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  sha384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
  sha512:
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
};

/** RFC 2202 §3 and RFC 4231 §4.3: test case 2. */
const codes: Readonly<Record<HashAlgorithm, string>> = {
  sha1: "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
  sha224: "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
  sha256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  sha384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
  sha512:
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554" +
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
};

interface Vector {
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: string;
  readonly bytes: string;
  readonly signature: string;
  readonly privateKey?: string;
}

/** RSA by OpenSSL; ECDSA from RFC 6979 §A.2.5 and §A.2.6; Ed25519 from RFC 8032 §7.1, Ed448 from §7.4. */
const vectors: readonly Vector[] = [
  {
    algorithm: "rsa-sha1",
    publicKey: `
    03010001d460acee96479b7350bc33b8aa4c795a47c69617b061ce487ce02c60073dd0cd8c3f8c8214457b66ed6230ec
    2d564f817382c57ba91aa8e776582bbba897f86cf05dec11800570a70a4ff2b76ed61ac579351c1015b8fc085a199177
    ea56ddc65f1d321cb08be158071e93f1b3ce0fb444de6dd605c51ac5327f44e6175f8c1d
  `,
    bytes: toHex(ascii.encode("sample")),
    signature: `
    abd24e8f67135e34bf011f533f3488cbeb0a42771a894cfb4bd02e75b528f8ba24c82490ed9ffd1b4233e0d4b8c1286c
    8d87b0c37328932dd9159a06c7ea101a1d9bb54554e7ecbfadf6a29fcb275b5c6dd11ff34a40305f0b6d3302046cebab
    327b1529493307756ad0c87db015a91b785a9f90ae96f18d730c5dc88a31a7e8
  `,
  },
  {
    algorithm: "rsa-sha256",
    publicKey: `
    03010001b4b61222ecfd3ad3cc452905962976eb71fcad52c6c2ffa259a21d1f62b610ebb320ff5f3b7a16a6e562df0a
    3d172827f19e0df2c126353f91ed5deeae4c881b60ceb4e7fcebb6e74bc7051da1b9bfefd22a25c8a5ba95aa81552086
    ad37c815f68238b59e5a77332a62a11db9541dd6b3d4b7c8a41ea0fdba306cea18ae7e4915c14767c33b0a5475bba52d
    482c2dfae19cfcae282db0981d75ce4a231fd03f48385b99217eab39b201a8f2897af58b82d29ab5e6a9684d16148b1f
    3550e74b3cda6fb325a5d57a07495b0659d2109288354c7681bd80692bd4dbab1f6218df80c2d90029554a05dcde4d29
    2aa94450d71eb91da38095978d249156ce320f07
  `,
    bytes: toHex(ascii.encode("sample")),
    signature: `
    15fe871cb30736ac32e6bef2054c89708ced12bd9d5be5be08599bd8d0b0a7ddcceb0e567c979316a88e34895a5b419a
    56d30e5378c893ae0dd1051d7bac45875eac5a5ed9cc65c052539311b4bc31a54bfda04dfa8c914f1daf5c04fab17b58
    c479fa5fab9e40528ddbe9f142cb663abe6e1d3b0b3b3a4905ae7f1371da060ca68e5d954407b7ede74daa0efeb8ab88
    6d66b854943d79bc8e25e050da8583264d7ce8434c82250b5a1aca63d11aca87836823bf31e62f26f8a8dfb013cef2a3
    2c62d67b93f47d99b2be2a83068fb523d17b3fca13d04b45800e69b5c820415650946418ea7483e94fd059f630b924cd
    d038eb603476e0498edbf05eab139e40
  `,
  },
  {
    algorithm: "rsa-sha512",
    publicKey: `
    03010001b605c5f03ad3546c7b54106ee15be1d24a2fbf83f1df19e75e28f6cadd9f2513169158e1e7952b9d12e94ecc
    f14b41dae4ddf128b7512b130e0a64960bed53a8f6036ab93a8fb7b9c006bd276ef1bfb84f146d0e2cad70c64609837f
    51b084f334476fdb6b2d63e24b26852886c02b394bc6f5a00ab6503dfb1ec7039ba0e7ab059617d1e00634a28b77e09a
    0c227dd1417227ddd425ea471b59be6915e2f5c02e260843bfca1d1f17ec3bfb3876a9bdab28aeafde0fa611a7a7a92a
    f79d27919ebdad24f9b0dc51b124fd1cbd0b962ea73d097362dfcb8daea1ef95f133053a7da5b02f0608f6d14cd6fca1
    893e745aaa4bd7008f7bbb07d6ea369dead1afe5
  `,
    bytes: toHex(ascii.encode("sample")),
    signature: `
    0b03b1a37d83eaa1be02572f436fb33e8f3260de1eefdb965eef7e5c68315606eea41e006d20b6250b11d4430dc05518
    5521852243ea0b24b159891d998f886bf8ac8f5b312cc5c426daa0393204aba747165acd059733de4ebf6a22b8fd9553
    9c7b4dc8d869365943caf70edf88b3b2b299f9f531ef901daee54553cbaf7793cb993f365ed3cb6bac6760c4016759af
    469ac60a0658d7028e10b62c6c5ab6b3cbe465bb44c6bc83b744ab2db9a33eb0ee30afea38275f8b322a7e8e119798e4
    9f70d20972704f5d832be72a383014300a22deb442fb4b66276e72247566101041411fac5268093ebecc58435788fe7c
    6a9fd05130c139c913d6b3cfa18ac2ca
  `,
  },
  {
    algorithm: "ecdsa-p256-sha256",
    privateKey: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    publicKey: `
    60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299`,
    bytes: toHex(ascii.encode("sample")),
    signature: `
    efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
    f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8`,
  },
  {
    algorithm: "ecdsa-p384-sha384",
    privateKey: "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
    publicKey: `
    ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13
    8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720`,
    bytes: toHex(ascii.encode("sample")),
    signature: `
    94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46
    99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8`,
  },
  {
    algorithm: "ed25519",
    privateKey: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    bytes: "72",
    signature: `
    92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`,
  },
  {
    algorithm: "ed448",
    privateKey: `
    c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e`,
    publicKey: `
    43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480`,
    bytes: "03",
    signature: `
    26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd77980
    5e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00`,
  },
];

const signing: readonly SigningAlgorithm[] = ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519", "ed448"];
// as: the keys of the record above.
const hashes = Object.keys(digests) as readonly HashAlgorithm[];

/** The contract of `Crypto`. */
export const cryptoSuite: Suite<Crypto> = [
  ...hashes.map((algorithm) =>
    defineCase<Crypto>(`${algorithm} gives the digest of the standard`, (crypto) => {
      const kept = crypto.hash(algorithm, ascii.encode("abc"));
      crypto.hash(algorithm, ascii.encode("other"));
      ensureEqual(toHex(kept), digests[algorithm], "the digest");
    }),
  ),

  ...hashes.map((algorithm) =>
    defineCase<Crypto>(`HMAC with ${algorithm} gives the code of the standard`, (crypto) => {
      const code = crypto.hmac(algorithm, ascii.encode("Jefe"), ascii.encode("what do ya want for nothing?"));
      ensureEqual(toHex(code), codes[algorithm], "the code");
      ensureEqual(crypto.hmac(algorithm, new Uint8Array(200), code).length, code.length, "with a long key");
      ensureEqual(crypto.hmac(algorithm, new Uint8Array(0), code).length, code.length, "with an empty key");
    }),
  ),

  defineCase("only what is in the view is hashed", (crypto) => {
    const memory = ascii.encode("xabcy");
    ensureEqual(toHex(crypto.hash("sha256", memory.subarray(1, 4))), digests.sha256, "the digest");
  }),

  defineCase("timingSafeEqual compares lengths and bytes", (crypto) => {
    ensure(crypto.timingSafeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), "the same");
    ensure(crypto.timingSafeEqual(new Uint8Array(0), new Uint8Array(0)), "nothing");
    ensure(!crypto.timingSafeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), "other bytes");
    ensure(!crypto.timingSafeEqual(Uint8Array.of(1, 2), Uint8Array.of(1)), "another length");
  }),

  ...vectors.map(({ algorithm, publicKey, bytes, signature }) =>
    defineCase<Crypto>(`${algorithm} verifies what others signed, and nothing else`, (crypto) => {
      const key = fromHex(publicKey);
      const message = fromHex(bytes);
      const good = fromHex(signature);
      ensure(crypto.verify(algorithm, key, message, good), "the signature is good");
      ensure(!crypto.verify(algorithm, key, ascii.encode("other"), good), "other bytes");
      for (let at = 0; at < good.length; at += 7) {
        const bad = good.slice();
        bad[at] = (bad[at] ?? 0) ^ 16;
        ensure(!crypto.verify(algorithm, key, message, bad), `a signature broken at ${at}`);
      }
      for (const length of [0, 1, good.length - 1, good.length + 1]) {
        const bad = new Uint8Array(length);
        bad.set(good.subarray(0, length));
        ensure(!crypto.verify(algorithm, key, message, bad), `a signature of ${length} bytes`);
      }
      ensure(crypto.verify(algorithm, key, message, good), "still good");
    }),
  ),

  ...vectors.map(({ algorithm, publicKey, bytes, signature }) =>
    defineCase<Crypto>(`${algorithm} takes any bytes for a key, and says no`, (crypto) => {
      const random = new SeededRandom(8);
      const good = fromHex(publicKey);
      const keys = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 255, 255), new Uint8Array(2000).fill(1)];
      for (let round = 0; round < 50; round++) {
        const key = round % 2 === 0 ? new Uint8Array(good.length) : good.slice(0, random.uint32() % good.length);
        if (round % 2 === 0) random.fill(key);
        keys.push(key);
      }
      for (const key of keys) {
        ensure(!crypto.verify(algorithm, key, fromHex(bytes), fromHex(signature)), `the key ${toHex(key)}`);
      }
    }),
  ),

  defineCase(
    "an RSA key whose exponent is long is refused, one with the longer form of its length is taken",
    (crypto) => {
      const { publicKey, bytes, signature } = vectors[1] ?? { publicKey: "", bytes: "", signature: "" };
      const key = fromHex(publicKey);
      const verify = (start: Uint8Array, modulus: Uint8Array): boolean => {
        const whole = new Uint8Array(start.length + modulus.length);
        whole.set(start);
        whole.set(modulus, start.length);
        return crypto.verify("rsa-sha256", whole, fromHex(bytes), fromHex(signature));
      };
      const modulus = key.subarray(4);
      ensure(verify(Uint8Array.of(0, 0, 3, 1, 0, 1), modulus), "the longer form");
      ensure(!verify(Uint8Array.of(9, 1, 0, 0, 0, 0, 0, 0, 0, 1), modulus), "an exponent of 65 bits");
    },
  ),

  ...vectors.flatMap(({ algorithm, publicKey, privateKey }) =>
    privateKey === undefined
      ? []
      : [
          defineCase<Crypto>(
            `${algorithm}: an imported key has the public key of the standard, and comes out again`,
            (crypto) => {
              // as: the vectors with private keys are those that can be signed with.
              const key = crypto.importKey(algorithm as SigningAlgorithm, fromHex(privateKey));
              ensureEqual(toHex(key.publicKey), toHex(fromHex(publicKey)), "the public key");
              ensureEqual(key.algorithm, algorithm, "the algorithm");
              ensureEqual(toHex(crypto.exportKey(key)), toHex(fromHex(privateKey)), "the private key");
            },
          ),
        ],
  ),

  ...signing.map((algorithm) =>
    defineCase<Crypto>(`${algorithm}: what is signed verifies, with its own key only`, (crypto) => {
      const random = new SeededRandom(3);
      const key = crypto.generateKey(algorithm, random);
      const other = crypto.generateKey(algorithm, random);
      ensure(toHex(key.publicKey) !== toHex(other.publicKey), "two keys differ");
      for (const length of [0, 1, 64, 1000]) {
        const bytes = new Uint8Array(length).fill(length);
        const signature = crypto.sign(key, bytes);
        ensure(crypto.verify(algorithm, key.publicKey, bytes, signature), `${length} bytes`);
        ensure(!crypto.verify(algorithm, other.publicKey, bytes, signature), "another key");
      }
    }),
  ),

  ...signing.map((algorithm) =>
    defineCase<Crypto>(`${algorithm}: a generated key follows from the randomness alone`, (crypto) => {
      const one = crypto.generateKey(algorithm, new SeededRandom(11));
      const again = crypto.generateKey(algorithm, new SeededRandom(11));
      const other = crypto.generateKey(algorithm, new SeededRandom(12));
      ensureEqual(toHex(one.publicKey), toHex(again.publicKey), "the same randomness");
      ensure(toHex(one.publicKey) !== toHex(other.publicKey), "other randomness");
    }),
  ),

  defineCase("bytes that are no private key are refused by name", (crypto) => {
    for (const algorithm of signing) {
      ensureThrows(() => crypto.importKey(algorithm, new Uint8Array(31)), RangeError, `${algorithm}, 31 bytes`);
    }
    ensureThrows(() => crypto.importKey("ecdsa-p256-sha256", new Uint8Array(32)), RangeError, "the scalar 0");
    const high = new Uint8Array(32).fill(255);
    ensureThrows(() => crypto.importKey("ecdsa-p256-sha256", high), RangeError, "a scalar above the order");
  }),

  defineCase("a scalar outside of the range is drawn again", (crypto) => {
    const seeded = new SeededRandom(5);
    let draws = 0;
    const random: Random = {
      uint32: () => seeded.uint32(),
      fill(bytes) {
        if (++draws <= 2) bytes.fill(draws === 1 ? 255 : 0);
        else seeded.fill(bytes);
      },
    };
    const key = crypto.generateKey("ecdsa-p256-sha256", random);
    ensure(crypto.verify(key.algorithm, key.publicKey, fromHex("00"), crypto.sign(key, fromHex("00"))), "it works");
  }),

  defineCase("a key of another implementation is refused", (crypto) => {
    const key = { algorithm: "ed25519", publicKey: new Uint8Array(32) } as const;
    ensureThrows(() => crypto.sign(key, new Uint8Array(1)), TypeError, "sign");
    ensureThrows(() => crypto.exportKey(key), TypeError, "exportKey");
  }),
];

/** Beyond the contract: the signatures of a `Crypto` that promises to repeat itself (RFC 6979 for ECDSA). */
export const repeatableCryptoSuite: Suite<Crypto> = vectors.flatMap(({ algorithm, privateKey, bytes, signature }) =>
  privateKey === undefined
    ? []
    : [
        defineCase<Crypto>(`${algorithm}: a signature is that of the standard`, (crypto) => {
          // as: the vectors with private keys are those that can be signed with.
          const key = crypto.importKey(algorithm as SigningAlgorithm, fromHex(privateKey));
          ensureEqual(toHex(crypto.sign(key, fromHex(bytes))), toHex(fromHex(signature)), "the signature");
        }),
      ],
);
