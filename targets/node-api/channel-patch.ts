import { IpAddress } from "@tesserae/device/address";
import { ResolveError } from "@tesserae/device/resolver";
import type { Answer } from "@tesserae/dns/answer";
import { reverseName } from "@tesserae/dns/name";
import type { StubResolver } from "@tesserae/dns/stub-resolver";
import { rcode, recordType } from "@tesserae/dns/wire";
import type { LookupRequest } from "./bindings.ts";
import { type AnswerShape, answerShapes } from "./answer-shape.ts";
import type { Host } from "./host.ts";
import { finisher } from "./lookup-patch.ts";
import type { NameService } from "./name-service.ts";
import type { Patches } from "./patches.ts";
import { readAddress } from "./socket-address.ts";

/** What is behind a `ChannelWrap`, of which each `dns.Resolver` has one. */
interface Channel {
  /** `undefined`: nobody to ask. */
  stub: StubResolver | undefined;
  /** The queries under way. */
  readonly pending: Set<AbortController>;
}

/** c-ares asks no more of them than our resolver does. */
const mostServers = 8;

/** c-ares' names of response codes, as Node shows them. */
const codes: Readonly<Record<number, string>> = {
  [rcode.formatError]: "EFORMERR",
  [rcode.serverFailure]: "ESERVFAIL",
  [rcode.nameError]: "ENOTFOUND",
  [rcode.notImplemented]: "ENOTIMP",
  [rcode.refused]: "EREFUSED",
};

/** Replaces the methods of `ChannelWrap`, which `dns.resolve*`, `dns.reverse` and `dns.Resolver` call. */
export function patchChannel(host: Host, patches: Patches, names: NameService): void {
  const { prototype } = host.bindings.cares.ChannelWrap;
  const channels = new WeakMap<object, Channel>();
  const channelOf = (handle: object): Channel => {
    let channel = channels.get(handle);
    if (channel === undefined) {
      channel = { stub: names.stub, pending: new Set() };
      channels.set(handle, channel);
    }
    return channel;
  };
  const method = (name: string, own: (channel: Channel, ...args: never[]) => unknown): void => {
    patches.define(prototype, name, {
      value: function (this: object, ...args: never[]): unknown {
        return own(channelOf(this), ...args);
      },
    });
  };
  const ask = (channel: Channel, request: LookupRequest, name: string, shape: AnswerShape): number => {
    const finish = finisher(host, request);
    if (channel.stub === undefined) {
      setImmediate(finish, "ECONNREFUSED");
      return 0;
    }
    const controller = new AbortController();
    channel.pending.add(controller);
    channel.stub
      .query(name, shape.type, controller.signal)
      .finally(() => channel.pending.delete(controller))
      .then(
        (answer) => {
          const code = failureOf(answer);
          const results = answer.kind === "answer" ? shape.results(answer.records) : [];
          if (code !== undefined) finish(code);
          else if (results.length === 0) finish("ENODATA");
          else finish(null, ...results);
        },
        (error: unknown) => finish(errorCode(error)),
      );
    return 0;
  };
  for (const [name, shape] of Object.entries(answerShapes)) {
    if (!(name in prototype)) continue;
    method(name, (channel, request: LookupRequest, host: string) => ask(channel, request, host, shape));
  }
  method("getHostByAddr", (channel, request: LookupRequest, text: string) => {
    const address = readAddress(text);
    if (address === undefined) return host.errno.number("EINVAL");
    return ask(channel, request, reverseName(address), { ...answerShapes.queryPtr, type: recordType.PTR });
  });
  method("getServers", ({ stub }) => stub?.servers.map(({ address, port }) => [address.toString(), port]) ?? []);
  method("setServers", (channel, servers: readonly (readonly [number, string, number])[]) => {
    const list = servers
      .slice(0, mostServers)
      .map(([, text, port]) => ({ address: IpAddress.tryParse(text), port: port === 0 ? 53 : port }))
      .flatMap(({ address, port }) => (address === undefined ? [] : [{ address, port }]));
    channel.stub = channel.stub?.withServers(list);
    return 0;
  });
  // Our stack chooses the address by the route.
  method("setLocalAddress", () => undefined);
  method("cancel", ({ pending }) => {
    for (const each of pending) each.abort();
  });
}

function failureOf(answer: Answer): string | undefined {
  switch (answer.kind) {
    case "answer":
      return undefined;
    case "no-data":
      return "ENODATA";
    case "no-name":
      return "ENOTFOUND";
    case "failed":
      return codes[answer.rcode] ?? "ESERVFAIL";
  }
}

function errorCode(error: unknown): string {
  if (!(error instanceof ResolveError)) return "ESERVFAIL";
  const byKind = {
    timeout: "ETIMEOUT",
    aborted: "ECANCELLED",
    refused: "ECONNREFUSED",
    "not-found": "EBADNAME",
  } as const;
  return byKind[error.kind];
}
