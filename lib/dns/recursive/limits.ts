/** What one question, and all of them together, may cost. Every bound is an answer to an attack that was seen. */
export interface RecursiveLimits {
  /** Queries to servers for one question of a client, with all that it entails. Default 100. */
  readonly queries: number;
  /** Milliseconds until the client is told that it failed. Default 10,000. */
  readonly time: number;
  /** How deep questions for the addresses and keys of servers are nested in each other. Default 8. */
  readonly depth: number;
  /** CNAME and DNAME records followed for one question. Default 12. */
  readonly chain: number;
  /**
   * Names of servers whose addresses are asked for, for one question of a client: a referral to many servers without
   * addresses would make as many questions to somebody else (NXNSAttack). Default 16.
   */
  readonly serverNames: number;
  /** The same for one delegation. Default 4. */
  readonly serverNamesPerDelegation: number;
  /** Servers of a delegation that are looked at. Default 13. */
  readonly servers: number;
  /** Tries for one query to the servers of one zone. Default 8. */
  readonly attempts: number;
  /** Queries with a part of the name only (RFC 9156 §2.3). Default 10. */
  readonly minimised: number;
  /** Signatures checked for one question of a client, and for one set of records (KeyTrap). Default 128 and 8. */
  readonly verifications: number;
  readonly verificationsPerSet: number;
  /** NSEC3 hashes, counted by iteration, for one question of a client. Default 2,000. */
  readonly hashes: number;
  /** NSEC3 iterations above which a zone counts as unsigned (RFC 9276 §3.2). Default 50. */
  readonly iterations: number;
  /** Questions of clients in work at once. Default 2,048. */
  readonly inFlight: number;
  /** Of them, with servers of the same zone: names made up below one zone block only it. Default 256. */
  readonly perZone: number;
  /** Queries that one server may have to answer at once; more wait for their turn. Default 128. */
  readonly perServer: number;
  /** Bytes of records kept, about. Default 32 MiB. */
  readonly cacheBytes: number;
  /** Delegations kept. Default 20,000. */
  readonly delegations: number;
  /** Servers whose round-trip times and habits are kept. Default 10,000. */
  readonly knownServers: number;
}

export const defaultLimits: RecursiveLimits = {
  queries: 100,
  time: 10_000,
  depth: 8,
  chain: 12,
  serverNames: 16,
  serverNamesPerDelegation: 4,
  servers: 13,
  attempts: 8,
  minimised: 10,
  verifications: 128,
  verificationsPerSet: 8,
  hashes: 2000,
  iterations: 50,
  inFlight: 2048,
  perZone: 256,
  perServer: 128,
  cacheBytes: 32 * 1024 * 1024,
  delegations: 20_000,
  knownServers: 10_000,
};

/** @throws RangeError naming the limit that is no integer from 1. */
export function limitsWith(given: Partial<RecursiveLimits>): RecursiveLimits {
  const limits = { ...defaultLimits, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} ${String(value)} is no integer from 1`);
  }
  return limits;
}
