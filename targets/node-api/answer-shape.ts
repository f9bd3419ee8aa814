import type { RecordData, ResourceRecord } from "@tesserae/dns/record";
import { recordType } from "@tesserae/dns/wire";

/** How `node:dns` shows the records of one type. */
export interface AnswerShape {
  readonly type: number;
  /** What the request's callback gets behind the error; empty when there is nothing to show. */
  results(records: readonly ResourceRecord[]): readonly unknown[];
}

type Data<T extends RecordData["type"]> = Extract<RecordData, { readonly type: T }>;

/** A list with one entry for each record of one type. */
function list<T extends keyof typeof recordType & RecordData["type"]>(
  type: T,
  show: (data: Data<T>) => unknown,
): AnswerShape {
  return {
    type: recordType[type],
    results: (records) => {
      const found = records.flatMap(({ data }) => (is(data, type) ? [show(data)] : []));
      return found.length === 0 ? [] : [found];
    },
  };
}

function is<T extends RecordData["type"]>(data: RecordData, type: T): data is Data<T> {
  return data.type === type;
}

/** Addresses, and behind them their times to live. */
function addresses(type: "A" | "AAAA"): AnswerShape {
  return {
    type: recordType[type],
    results: (records) => {
      const found = records.flatMap(({ data, ttl }) =>
        is(data, type) ? [{ text: data.address.toString(), ttl }] : [],
      );
      return found.length === 0 ? [] : [found.map(({ text }) => text), found.map(({ ttl }) => ttl)];
    },
  };
}

const show = {
  MX: ({ exchange, preference }: Data<"MX">) => ({ exchange, priority: preference }),
  SRV: ({ target, port, priority, weight }: Data<"SRV">) => ({ name: target, port, priority, weight }),
  TXT: ({ strings }: Data<"TXT">) => strings.map(text),
  SOA: (data: Data<"SOA">) => ({
    nsname: data.primary,
    hostmaster: data.mailbox,
    serial: data.serial,
    refresh: data.refresh,
    retry: data.retry,
    expire: data.expire,
    minttl: data.minimum,
  }),
  CAA: ({ flags, tag, value }: Data<"CAA">) => ({ critical: flags, [tag]: text(value) }),
  NAPTR: (data: Data<"NAPTR">) => ({
    flags: data.flags,
    service: data.services,
    regexp: data.regexp,
    replacement: data.replacement === "." ? "" : data.replacement,
    order: data.order,
    preference: data.preference,
  }),
  TLSA: ({ usage, selector, matching, data }: Data<"TLSA">) => ({
    certUsage: usage,
    selector,
    match: matching,
    data: data.slice().buffer,
  }),
};

/** One record of `resolveAny`. */
function showAny({ data, ttl }: ResourceRecord): unknown[] {
  switch (data.type) {
    case "A":
    case "AAAA":
      return [{ address: data.address.toString(), ttl, type: data.type }];
    case "CNAME":
    case "NS":
    case "PTR":
      return [{ value: data.name, type: data.type }];
    case "MX":
      return [{ ...show.MX(data), type: "MX" }];
    case "TXT":
      return [{ entries: show.TXT(data), type: "TXT" }];
    case "SRV":
      return [{ ...show.SRV(data), type: "SRV" }];
    case "SOA":
      return [{ ...show.SOA(data), type: "SOA" }];
    case "CAA":
      return [{ ...show.CAA(data), type: "CAA" }];
    case "NAPTR":
      return [{ ...show.NAPTR(data), type: "NAPTR" }];
    case "TLSA":
      return [{ ...show.TLSA(data), type: "TLSA" }];
    default:
      return [];
  }
}

/** By the name of the method of `ChannelWrap`. */
export const answerShapes = {
  queryA: addresses("A"),
  queryAaaa: addresses("AAAA"),
  queryCname: list("CNAME", ({ name }) => name),
  queryNs: list("NS", ({ name }) => name),
  queryPtr: list("PTR", ({ name }) => name),
  queryMx: list("MX", show.MX),
  queryTxt: list("TXT", show.TXT),
  querySrv: list("SRV", show.SRV),
  queryCaa: list("CAA", show.CAA),
  queryNaptr: list("NAPTR", show.NAPTR),
  queryTlsa: list("TLSA", show.TLSA),
  querySoa: {
    type: recordType.SOA,
    results: (records) => records.flatMap(({ data }) => (data.type === "SOA" ? [show.SOA(data)] : [])).slice(0, 1),
  },
  queryAny: {
    type: recordType.ANY,
    results: (records) => {
      const found = records.flatMap(showAny);
      return found.length === 0 ? [] : [found];
    },
  },
} as const satisfies Readonly<Record<string, AnswerShape>>;

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
