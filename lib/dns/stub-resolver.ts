import { type Endpoint, IpAddress } from "@tesserae/device/address";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";
import { type Answer, answerOf, longestChain } from "./answer.ts";
import { AnswerCache } from "./cache.ts";
import { ask, type Transport } from "./exchange.ts";
import type { DnsMessage } from "./message.ts";
import { canonicalName, labelsOf } from "./name.ts";
import type { ResourceRecord } from "./record.ts";
import { dnsPort, rcode, recordType } from "./wire.ts";

export interface StubResolverOptions extends Transport {
  /** Recursive servers in the order in which they are asked, at most 8; an address alone has port 53. */
  readonly servers: readonly (IpAddress | Endpoint)[];
  /** Suffixes for names with fewer than `ndots` dots, at most 8. Default none. */
  readonly search?: readonly string[];
  /** Default 1. */
  readonly ndots?: number;
  /** Asked first, and believed: a table such as `/etc/hosts`. */
  readonly hosts?: Resolver;
  /**
   * Which addresses `resolve` looks for, the preferred first; a function is asked each time, as what a host can reach
   * changes. Once the answer for one family is there, that for another is waited for 50 ms at most (RFC 8305 §3).
   * Default IPv4 only.
   */
  readonly families?: readonly (4 | 6)[] | (() => readonly (4 | 6)[]);
  /**
   * Puts the addresses that servers told in order, the best first (RFC 6724 §6). Default: they stay as they were told,
   * the preferred family's first.
   */
  readonly order?: (addresses: readonly IpAddress[]) => readonly IpAddress[];
  /** Milliseconds that a server has for the first try; each round doubles it. Default 2000. */
  readonly timeout?: number;
  /** Rounds over all servers, 1–10. Default 3. */
  readonly attempts?: number;
  /** Answers kept. Default 1024; 0 keeps none. */
  readonly cacheSize?: number;
}

/** A stub resolver (RFC 1034 §5.3.1). */
export interface StubResolver extends Resolver {
  /**
   * Asks for the records of `name` of a type of `recordType` (or any other number). No search list: the name is taken
   * as it is. CNAME records are followed.
   *
   * @throws ResolveError (rejects): `timeout` when no server answers, `refused` when none can be reached or too much
   * is asked at once, `aborted`, and `not-found` when the name is none.
   */
  query(name: string, type: number, signal?: AbortSignal): Promise<Answer>;
  readonly servers: readonly Endpoint[];
  /** The same with other servers (at most 8), and a cache of its own. */
  withServers(servers: readonly (IpAddress | Endpoint)[]): StubResolver;
}

/** RFC 8305 §3 and §8, milliseconds. */
const resolutionDelay = 50;

/** Questions that may wait for answers at once. */
const mostInFlight = 256;

/**
 * @throws RangeError when a number is out of range, or there are too many servers or suffixes, or a suffix is no name.
 */
export function createStubResolver(options: StubResolverOptions): StubResolver {
  return new Stub(options);
}

class Stub implements StubResolver {
  readonly servers: readonly Endpoint[];
  readonly #options: StubResolverOptions;
  readonly #search: readonly string[];
  readonly #families: readonly (4 | 6)[] | (() => readonly (4 | 6)[]);
  readonly #timeout: number;
  readonly #attempts: number;
  readonly #cache: AnswerCache;
  /** One question is asked once, however many wait for it: many copies would be easier to forge an answer for. */
  readonly #inFlight = new Map<string, Promise<Answer>>();
  /** Servers that do not know EDNS, by index. */
  readonly #plain = new Set<number>();

  constructor(options: StubResolverOptions) {
    this.#options = options;
    const { servers, search = [], families = [4], timeout = 2000, attempts = 3, cacheSize = 1024 } = options;
    if (servers.length > 8) throw new RangeError(`servers: ${servers.length} are more than 8`);
    if (search.length > 8) throw new RangeError(`search: ${search.length} are more than 8`);
    if (!(timeout > 0)) throw new RangeError(`timeout ${timeout} is not above 0`);
    if (!Number.isInteger(attempts) || attempts < 1 || attempts > 10) {
      throw new RangeError(`attempts ${attempts} is not an integer from 1 to 10`);
    }
    if (!Number.isInteger(cacheSize) || cacheSize < 0) {
      throw new RangeError(`cacheSize ${cacheSize} is not an integer from 0`);
    }
    for (const suffix of search) labelsOf(suffix);
    this.servers = servers.map((each) => (each instanceof IpAddress ? { address: each, port: dnsPort } : each));
    this.#search = search;
    this.#families = families;
    this.#timeout = timeout;
    this.#attempts = attempts;
    this.#cache = new AnswerCache(options.timers, cacheSize);
  }

  withServers(servers: readonly (IpAddress | Endpoint)[]): StubResolver {
    return new Stub({ ...this.#options, servers });
  }

  async resolve(name: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly IpAddress[]> {
    if (signal?.aborted === true) throw new ResolveError("aborted", name, `resolving ${name} was aborted`);
    const literal = IpAddress.tryParse(name);
    if (literal !== undefined) return [literal];
    checkName(name, name);
    const known = await this.#fromHosts(name, signal);
    if (known !== undefined) return known;
    // RFC 6761 §6.3 and §6.4: never asked of a server.
    const canonical = canonicalName(name);
    if (canonical === "localhost" || canonical.endsWith(".localhost"))
      return [IpAddress.loopback4, IpAddress.loopback6];
    if (canonical === "invalid" || canonical.endsWith(".invalid")) {
      throw new ResolveError("not-found", name, `${name} does not exist`);
    }
    let failure: number | undefined;
    for (const candidate of this.#candidates(name)) {
      const families = typeof this.#families === "function" ? this.#families() : this.#families;
      const answers = await this.#soonest(
        families.map((family) => this.#addressQuery(candidate, family, signal, name)),
      );
      const found = answers.flatMap((each) => (each.kind === "answer" ? each.records.flatMap(addressOf) : []));
      if (found.length > 0) {
        const all = found.filter((each, index) => found.findIndex((other) => other.equals(each)) === index);
        return this.#options.order?.(all) ?? all;
      }
      for (const each of answers) if (each.kind === "failed") failure ??= each.rcode;
    }
    if (failure !== undefined) {
      throw new ResolveError("refused", name, `resolving ${name}: the servers answered with code ${failure}`);
    }
    throw new ResolveError("not-found", name, `${name} has no address`);
  }

  /**
   * All answers; or, when one of them has addresses, those that came within the resolution delay of it.
   *
   * @throws what the first of them was rejected with, when none has addresses.
   */
  #soonest(asked: readonly Promise<Answer>[]): Promise<readonly Answer[]> {
    if (asked.length < 2) return Promise.all(asked);
    const answers: (Answer | undefined)[] = asked.map(() => undefined);
    const come = (): Answer[] => answers.filter((each) => each !== undefined);
    return new Promise((resolve, reject) => {
      const delay = this.#options.timers.timer(() => resolve(come()));
      let left = asked.length;
      let failure: Error | undefined;
      const settle = (): void => {
        const hasAddresses = come().some(({ kind }) => kind === "answer");
        left--;
        if (left === 0) {
          delay.cancel();
          if (failure !== undefined && !hasAddresses) reject(failure);
          else resolve(come());
        } else if (hasAddresses && !delay.armed) delay.set(this.#options.timers.now() + resolutionDelay);
      };
      for (const [place, each] of asked.entries()) {
        each.then(
          (answer) => {
            answers[place] = answer;
            settle();
          },
          (error: unknown) => {
            failure ??= error instanceof Error ? error : new Error(String(error));
            settle();
          },
        );
      }
    });
  }

  async query(name: string, type: number, signal?: AbortSignal): Promise<Answer> {
    checkName(name, name);
    return this.#query(name, type, signal, name);
  }

  async #fromHosts(name: string, signal: AbortSignal | undefined): Promise<readonly IpAddress[] | undefined> {
    try {
      return await this.#options.hosts?.resolve(name, signal === undefined ? {} : { signal });
    } catch (error) {
      if (error instanceof ResolveError && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  /** The names to try: a name with enough dots as it is first, one with a dot at the end only so. */
  #candidates(name: string): string[] {
    if (name.endsWith(".")) return [name];
    const dots = name.split(".").length - 1;
    const searched = this.#search.map((suffix) => `${name}.${suffix}`).filter(isName);
    return dots >= (this.#options.ndots ?? 1) ? [name, ...searched] : [...searched, name];
  }

  #addressQuery(name: string, family: 4 | 6, signal: AbortSignal | undefined, host: string): Promise<Answer> {
    return this.#query(name, family === 4 ? recordType.A : recordType.AAAA, signal, host);
  }

  /** @param host what errors name */
  #query(name: string, type: number, signal: AbortSignal | undefined, host: string): Promise<Answer> {
    const aborted = (): ResolveError =>
      new ResolveError("aborted", host, `resolving ${host} was aborted`, { cause: signal?.reason });
    if (signal?.aborted === true) return Promise.reject(aborted());
    const key = `${canonicalName(name)} ${type}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return Promise.resolve(cached);
    let answer = this.#inFlight.get(key);
    if (answer === undefined) {
      if (this.#inFlight.size >= mostInFlight) {
        const message = `resolving ${host}: ${mostInFlight} questions are waiting already`;
        return Promise.reject(new ResolveError("refused", host, message));
      }
      answer = this.#follow(name, type, host).finally(() => this.#inFlight.delete(key));
      this.#inFlight.set(key, answer);
      answer.then(
        (found) => this.#cache.set(key, found),
        () => undefined,
      );
    }
    if (signal === undefined) return answer;
    // Others may wait for the same answer: it is not asked for in vain when this one gives up.
    const shared = answer;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(aborted());
      signal.addEventListener("abort", abort, { once: true });
      void shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  /** Asks, and asks again where a chain of CNAME records leaves the response. */
  async #follow(name: string, type: number, host: string): Promise<Answer> {
    const chain: ResourceRecord[] = [];
    let next = name;
    for (;;) {
      const message = await this.#askServers(next, type, host);
      const answer = answerOf(message, next, type);
      if (answer.kind === "incomplete") {
        chain.push(...answer.chain);
        if (chain.length >= longestChain) return { kind: "failed", rcode: rcode.serverFailure };
        next = answer.name;
        continue;
      }
      if (chain.length === 0 || answer.kind === "failed") return answer;
      const ttl = chain.reduce((least, record) => Math.min(least, record.ttl), answer.ttl);
      return answer.kind === "answer" ? { ...answer, chain: [...chain, ...answer.chain], ttl } : { ...answer, ttl };
    }
  }

  /** The first good response of any server; else the last bad one. */
  async #askServers(name: string, type: number, host: string): Promise<DnsMessage> {
    let refusal: DnsMessage | undefined;
    let cause: unknown;
    for (let round = 0; round < this.#attempts; round++) {
      let hasTimedOut = false;
      for (const [index, server] of this.servers.entries()) {
        try {
          const message = await this.#askServer(index, server, name, type, this.#timeout * 2 ** round);
          if (message.rcode === rcode.noError || message.rcode === rcode.nameError) return message;
          refusal = message;
        } catch (error) {
          cause = error;
          hasTimedOut = true;
        }
      }
      // Who has answered, if badly, will not say anything else a second later.
      if (!hasTimedOut) break;
    }
    if (refusal !== undefined) return refusal;
    if (this.servers.length === 0)
      throw new ResolveError("refused", host, `resolving ${host}: there is no server to ask`);
    throw new ResolveError("timeout", host, `resolving ${host}: no server answered`, { cause });
  }

  async #askServer(index: number, server: Endpoint, name: string, type: number, timeout: number): Promise<DnsMessage> {
    const edns = !this.#plain.has(index);
    const message = await ask(this.#options, server, { name, type }, { timeout, edns });
    // RFC 6891 §7: a server that does not know EDNS says so, without EDNS.
    const code = message.rcode;
    if (!edns || message.edns !== undefined || (code !== rcode.formatError && code !== rcode.notImplemented)) {
      return message;
    }
    const plain = await ask(this.#options, server, { name, type }, { timeout, edns: false });
    if (plain.rcode !== code) this.#plain.add(index);
    return plain;
  }
}

function addressOf({ data }: ResourceRecord): IpAddress[] {
  return data.type === "A" || data.type === "AAAA" ? [data.address] : [];
}

function isName(name: string): boolean {
  try {
    return labelsOf(name).length > 0;
  } catch {
    return false;
  }
}

function checkName(name: string, host: string): void {
  if (name === "." || isName(name)) return;
  throw new ResolveError("not-found", host, `"${host}" is not a host name`);
}
