import { IpAddress, Prefix } from "@tesserae/device/address";
import { nameFromText } from "@tesserae/dns/name-bytes";
import type { Peer, ZonePolicy } from "@tesserae/dns/transfer/policy";
import { parseKey, type TsigKey } from "@tesserae/dns/tsig/key";
import { KeyError } from "@tesserae/image/key";

/** What the keys say about other name servers, as text. */
export interface PeerKeys {
  /** `[algorithm:]name:secret`, or empty. */
  readonly tsig: string;
  /** Prefixes, with commas between them. */
  readonly transfer: string;
  /** Servers, with commas between them. */
  readonly notify: string;
  /** `ZONE=SERVER`, with commas between them; a zone may be there several times. */
  readonly secondary: string;
}

export interface Peers {
  readonly key: TsigKey | undefined;
  /** For every zone. */
  readonly policy: ZonePolicy;
  /** Zones that are had from others, by name as it was written. */
  readonly secondaries: ReadonlyMap<string, readonly Peer[]>;
}

/** @throws KeyError naming the key and what is wrong with it. */
export function readPeers({ tsig, transfer, notify, secondary }: PeerKeys): Peers {
  const key = tsig === "" ? undefined : within("tsig", tsig, () => parseKey(tsig));
  const peer = (text: string): Peer => ({ ...server(text), ...(key === undefined ? {} : { key }) });
  const from = within("transfer", transfer, () => itemsOf(transfer).map((text) => Prefix.parse(text)));
  const isOpen = from.length > 0 || key !== undefined;
  const rule = { ...(from.length === 0 ? {} : { from }), ...(key === undefined ? {} : { key: key.name }) };
  const secondaries = new Map<string, Peer[]>();
  within("secondary", secondary, () => {
    for (const item of itemsOf(secondary)) {
      const [zone = "", where] = item.split("=");
      if (where === undefined) throw new RangeError(`"${item}" is not ZONE=ADDRESS`);
      nameFromText(`${zone}.`);
      secondaries.set(zone, [...(secondaries.get(zone) ?? []), peer(where)]);
    }
  });
  return {
    key,
    policy: { transfer: isOpen ? [rule] : [], notify: within("notify", notify, () => itemsOf(notify).map(peer)) },
    secondaries,
  };
}

function itemsOf(text: string): string[] {
  return text === "" ? [] : text.split(",").map((each) => each.trim());
}

/** `192.0.2.1`, `192.0.2.1:5300`, `2001:db8::1`, or `[2001:db8::1]:5300`. */
function server(text: string): Peer {
  const [, bracketed, port] = /^\[(.*)\](?::(\d+))?$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text) ?? [];
  const address = IpAddress.parse(bracketed ?? text);
  if (port === undefined) return { address };
  if (Number(port) < 1 || Number(port) > 65_535) throw new RangeError(`"${text}" has no port from 1 to 65535`);
  return { address, port: Number(port) };
}

function within<T>(key: string, given: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const message = `key "${key}": ${error instanceof Error ? error.message : String(error)}`;
    throw new KeyError([{ kind: "malformed", key, given, message }]);
  }
}
