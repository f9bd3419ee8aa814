import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "../name-bytes.ts";
import { isWithin, keyFromText, parentKey, rootKey } from "./name-key.ts";
import { type Rrset, typeCode } from "./rrset.ts";

/** What a name of a local zone has. */
export interface LocalAnswer {
  readonly kind: "positive" | "no-data" | "no-name";
  readonly rrset?: Rrset;
  /** Of the zone, for a negative answer. */
  readonly soa: Rrset;
}

/** Seconds: these never change. */
const ttl = 86_400;

/**
 * Zones that nobody outside is asked about: names with a special meaning (RFC 6761; RFC 6762 §22.1, RFC 7686, RFC 8375,
 * RFC 9462) and the reverse zones of addresses that mean something only here (RFC 6303).
 */
const emptyZones: readonly string[] = [
  ...["localhost", "invalid", "test", "onion", "local", "home.arpa", "resolver.arpa"],
  ...["10", "168.192", "0", "127", "254.169", "2.0.192", "100.51.198", "113.0.203"].map(
    (zone) => `${zone}.in-addr.arpa`,
  ),
  "255.255.255.255.in-addr.arpa",
  ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
  ...Array.from({ length: 64 }, (_, index) => `${64 + index}.100.in-addr.arpa`),
  `${"0.".repeat(31)}0.ip6.arpa`,
  `1.${"0.".repeat(30)}0.ip6.arpa`,
  ...["d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"].map((zone) => `${zone}.ip6.arpa`),
];

/** The special zones, but for those that hosts of this place do serve. */
export class LocalZones {
  readonly #zones: ReadonlySet<string>;

  /** @param except zones, in text, that are asked for like any others; all with `"."` */
  constructor(except: readonly string[]) {
    const served = except.map(keyFromText);
    const zones = emptyZones.map(keyFromText);
    this.#zones = new Set(zones.filter((zone) => !served.some((each) => isWithin(each, zone) || each === rootKey)));
  }

  answer(name: string, type: number): LocalAnswer | undefined {
    for (let zone = name; zone !== rootKey; zone = parentKey(zone)) {
      if (this.#zones.has(zone)) return localAnswer(name, type, zone);
    }
    return undefined;
  }
}

const localhost = keyFromText("localhost");
const loopbackNames: ReadonlySet<string> = new Set(
  ["1.0.0.127.in-addr.arpa", `1.${"0.".repeat(30)}0.ip6.arpa`].map(keyFromText),
);

function localAnswer(name: string, type: number, zone: string): LocalAnswer {
  const soa = soaOf(zone);
  const found = (data: Uint8Array): LocalAnswer => ({
    kind: "positive",
    rrset: { name, type, ttl, data: [data], signatures: [] },
    soa,
  });
  if (name === zone && type === typeCode.SOA) return { kind: "positive", rrset: soa, soa };
  if (name === zone && type === typeCode.NS) return found(nameFromText("localhost"));
  // RFC 6761 §6.3: every name there is the loopback address.
  if (zone === localhost) {
    if (type === typeCode.A) return found(addressBytes(IpAddress.loopback4));
    if (type === typeCode.AAAA) return found(addressBytes(IpAddress.loopback6));
    return { kind: "no-data", soa };
  }
  if (loopbackNames.has(name)) return type === 12 ? found(nameFromText("localhost")) : { kind: "no-data", soa };
  return { kind: name === zone ? "no-data" : "no-name", soa };
}

function soaOf(zone: string): Rrset {
  const numbers = [1, 3600, 1200, 604_800, ttl].flatMap((value) => [value >>> 24, value >>> 16, value >>> 8, value]);
  const names = [...nameFromText("localhost"), ...nameFromText("nobody.invalid")];
  return { name: zone, type: typeCode.SOA, ttl, data: [Uint8Array.from([...names, ...numbers])], signatures: [] };
}

function addressBytes({ family, w0, w1, w2, w3 }: IpAddress): Uint8Array {
  const words = family === 4 ? [w3] : [w0, w1, w2, w3];
  return Uint8Array.from(words.flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word]));
}
