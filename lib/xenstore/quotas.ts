import type { Limits } from "./limits.ts";

/** Bounds of domains that may be set while the server runs, by the names that Xen has for them (`xenstore.txt`). */
const limitOf = {
  nodes: "nodesOfDomain",
  watches: "watchesOfDomain",
  transactions: "transactionsOfDomain",
  "node-size": "nodeSize",
  permissions: "permissions",
  "transaction-nodes": "transactionNodesOfDomain",
} as const satisfies Readonly<Record<string, keyof Limits>>;

export type QuotaName = keyof typeof limitOf;

// The keys of a literal are what its type says.
export const quotaNames = Object.keys(limitOf) as readonly QuotaName[];

export function isQuotaName(text: string): text is QuotaName {
  return Object.hasOwn(limitOf, text);
}

/** The greatest value of a quota, which goes over the wire as a decimal number. */
export const greatestQuota = 0x7fff_ffff;

/** What each domain may have: as all, or as was set for it. 0 means without bound. */
export class Quotas {
  readonly #limits: Limits;
  readonly #general = new Map<QuotaName, number>();
  readonly #own = new Map<number, Map<QuotaName, number>>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** As set. */
  value(name: QuotaName, domain = -1): number {
    return this.#own.get(domain)?.get(name) ?? this.#general.get(name) ?? this.#limits[limitOf[name]];
  }

  /** The most that a domain may have. */
  most(name: QuotaName, domain: number): number {
    const value = this.value(name, domain);
    return value === 0 ? Number.POSITIVE_INFINITY : value;
  }

  /** @param domain −1: of all that have no own */
  set(name: QuotaName, value: number, domain = -1): void {
    if (domain < 0) {
      this.#general.set(name, value);
      return;
    }
    const own = this.#own.get(domain);
    if (own === undefined) this.#own.set(domain, new Map([[name, value]]));
    else own.set(name, value);
  }

  /** The domain is gone. */
  forget(domain: number): void {
    this.#own.delete(domain);
  }

  /** What was set for all, and what for single domains. */
  get changed(): {
    readonly general: ReadonlyMap<QuotaName, number>;
    readonly own: ReadonlyMap<number, ReadonlyMap<QuotaName, number>>;
  } {
    return { general: this.#general, own: this.#own };
  }
}
