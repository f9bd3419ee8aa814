/** Bounds of a server. Those "of a domain" do not hold for privileged clients, which have bounds of their own. */
export interface Limits {
  /** Nodes that a domain may own. */
  readonly nodesOfDomain: number;
  /** Nodes in all. */
  readonly nodes: number;
  /** Bytes of a node's path and value together, for domains. */
  readonly nodeSize: number;
  /** Permissions of a node, for domains. */
  readonly permissions: number;
  readonly watchesOfDomain: number;
  /** Of one privileged client. */
  readonly watches: number;
  /** Bytes of a watch's token. */
  readonly token: number;
  readonly transactionsOfDomain: number;
  /** Of one privileged client. */
  readonly transactions: number;
  /** Changes, and nodes looked at, in one transaction of a domain. */
  readonly transactionNodesOfDomain: number;
  /** Likewise of a privileged client. */
  readonly transactionNodes: number;
  /** Replies that a client has not taken, in bytes, above which its requests wait. */
  readonly replyBytes: number;
  /** Events that a client has not taken, above which those of a watch become one: "something below changed". */
  readonly events: number;
  /** Commits of one client that fail in a row before its next transaction cannot: others wait for it. */
  readonly failures: number;
  /** How long others wait for it, in milliseconds: in all for a domain's, and after each request for a privileged client's. */
  readonly precedence: number;
  /** How long others wait in all for a privileged client's. */
  readonly precedenceInAll: number;
  /** Clients above which others wait for whatever a privileged client that goes first does: none is heard meanwhile. */
  readonly crowd: number;
}

export const defaultLimits: Limits = {
  nodesOfDomain: 1000,
  nodes: 1_000_000,
  nodeSize: 2048,
  permissions: 5,
  watchesOfDomain: 128,
  watches: 65_536,
  token: 1024,
  transactionsOfDomain: 10,
  transactions: 1024,
  transactionNodesOfDomain: 1024,
  transactionNodes: 65_536,
  replyBytes: 65_536,
  events: 1024,
  failures: 1,
  precedence: 200,
  precedenceInAll: 2000,
  crowd: 64,
};
