import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Host, HostOptions } from "./host.ts";
import type { HostInterface } from "./host-stack.ts";
import type { Lan, LanSettings } from "./lan.ts";
import type { Link } from "./link.ts";
import type { PathSettings } from "./link-settings.ts";
import type { SeededRandom } from "./random.ts";
import type { World } from "./world.ts";

/** A network as data. Every name that it mentions is a host; addresses and routes follow. */
export interface TopologyPlan {
  /** The hosts that pass packets on. */
  readonly routers?: readonly string[];
  /** Cables between two hosts. Settings hold both ways; `forward` is from the first to the second. */
  readonly links?: readonly (readonly [one: string, other: string, settings?: PathSettings])[];
  /** Networks around a switch, by name. */
  readonly lans?: Readonly<Record<string, LanPlan>>;
  /** What hosts are like beside their interfaces, by name, or for all. */
  readonly options?: Readonly<Record<string, HostOptions>> | ((name: string) => HostOptions);
}

export interface LanPlan extends LanSettings {
  readonly hosts: readonly string[];
}

/** The networks of a topology: 10.n.0.0/16 for LANs, and parts of 172.16.0.0/12 for cables. */
const lanNetworks = 0x0a000000;
const linkNetworks = 0xac100000 | 0;
const mostLans = 255;
const mostLinks = 2 ** 20 / 4;
/** What a stack's table holds of each interface, the link's own route and the default one left out. */
const mostRoutes = 62;

/** One network: a LAN or a cable, and who is on it. */
interface Network {
  readonly prefix: Prefix;
  readonly lan: string | undefined;
  readonly members: { readonly name: string; readonly address: IpAddress }[];
}

/** A topology in a world. */
export class Topology {
  readonly hosts: readonly Host[];
  readonly #byName: ReadonlyMap<string, Host>;
  readonly #links: ReadonlyMap<string, Link>;
  readonly #lans: ReadonlyMap<string, Lan>;

  constructor(hosts: ReadonlyMap<string, Host>, links: ReadonlyMap<string, Link>, lans: ReadonlyMap<string, Lan>) {
    this.hosts = [...hosts.values()];
    this.#byName = hosts;
    this.#links = links;
    this.#lans = lans;
  }

  /** @throws RangeError when there is none of that name. */
  host(name: string): Host {
    return found(this.#byName.get(name), `host "${name}"`);
  }

  /** The cable between two hosts, whose forward direction is as the plan has it. As {@link Topology.host}. */
  link(one: string, other: string): Link {
    return found(this.#links.get(`${one} ${other}`) ?? this.#links.get(`${other} ${one}`), `link ${one}-${other}`);
  }

  lan(name: string): Lan {
    return found(this.#lans.get(name), `LAN "${name}"`);
  }

  /** Resolves when all hosts have their stacks. */
  async ready(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.ready));
  }
}

/**
 * Makes the hosts, cables and LANs of a plan in a world. Each network gets addresses of its own, hosts a default router
 * and routers their routes, by the fewest networks to cross.
 *
 * @throws RangeError when the plan makes no sense, or a router would need more routes than its table holds.
 */
export function createTopology(world: World, plan: TopologyPlan): Topology {
  const routers = new Set(plan.routers);
  const networks = networksOf(plan);
  const attached = new Map<string, Network[]>([...routers].map((name) => [name, []]));
  for (const network of networks) {
    for (const { name } of network.members) attached.set(name, [...(attached.get(name) ?? []), network]);
  }
  const lans = new Map<string, Lan>();
  for (const [name, settings] of Object.entries(plan.lans ?? {})) lans.set(name, world.lan(name, settings));
  const ways = new Ways(networks, routers, attached);
  const hosts = new Map<string, Host>();
  for (const [name, own] of attached) {
    const options = typeof plan.options === "function" ? plan.options(name) : (plan.options?.[name] ?? {});
    const interfaces = own.map((network) => interfaceOf(name, network, ways));
    if (interfaces.length === 0) throw new RangeError(`router "${name}" is in no network`);
    hosts.set(
      name,
      world.host(name, {
        ...(routers.has(name) ? { forwarding: { reversePath: "off" } } : {}),
        ...options,
        interfaces,
      }),
    );
  }
  const links = new Map<string, Link>();
  for (const [one, other, settings] of plan.links ?? []) {
    const [near, far] = [hosts.get(one), hosts.get(other)];
    if (near !== undefined && far !== undefined) links.set(`${one} ${other}`, world.link(near, far, settings));
  }
  return new Topology(hosts, links, lans);
}

/** Hosts on one switch. */
export function star(hosts: number, settings: LanSettings = {}): TopologyPlan {
  return { lans: { lan: { ...settings, hosts: numbered("h", hosts) } } };
}

/** `left0` … on one side, `right0` … on the other, and between routers `west` and `east` the bottleneck. */
export function dumbbell(pairs: number, bottleneck: PathSettings, access: PathSettings = {}): TopologyPlan {
  return {
    routers: ["west", "east"],
    links: [
      ["west", "east", bottleneck],
      ...numbered("left", pairs).map((name) => [name, "west", access] as const),
      ...numbered("right", pairs).map((name) => ["east", name, access] as const),
    ],
  };
}

/** `first` and `last`, with so many routers between them: `r0`, `r1` … */
export function chain(routers: number, settings: PathSettings = {}): TopologyPlan {
  const between = numbered("r", routers);
  const all = ["first", ...between, "last"];
  return { routers: between, links: all.slice(1).map((name, index) => [all[index] ?? "", name, settings] as const) };
}

/**
 * Routers as a tree, and below each of the lowest ones `branches` hosts. Names tell the way: `root`, `r0`, `r0-1`,
 * `h0-1-0`.
 *
 * @param depth levels of routers, at least 1
 */
export function tree(depth: number, branches: number, settings: PathSettings = {}): TopologyPlan {
  const routers = ["root"];
  const links: (readonly [string, string, PathSettings])[] = [];
  const grow = (parent: string, way: string, level: number): void => {
    for (let branch = 0; branch < branches; branch++) {
      const next = way === "" ? String(branch) : `${way}-${branch}`;
      const name = `${level < depth ? "r" : "h"}${next}`;
      links.push([parent, name, settings]);
      if (level >= depth) continue;
      routers.push(name);
      grow(name, next, level + 1);
    }
  };
  grow("root", "", 1);
  return { routers, links };
}

/**
 * Routers `r0` … joined at random, so that each reaches each, with `more` cables beyond those that it takes; and hosts
 * `h0` …, each at a router that is drawn.
 */
export function mesh(
  random: SeededRandom,
  counts: { readonly routers: number; readonly more: number; readonly hosts: number },
  settings: (random: SeededRandom) => PathSettings = () => ({}),
): TopologyPlan {
  const routers = numbered("r", counts.routers);
  const links = new Map<string, readonly [string, string, PathSettings]>();
  const join = (one: number, other: number): void => {
    const [low, high] = [Math.min(one, other), Math.max(one, other)];
    if (low !== high) links.set(`${low} ${high}`, [`r${low}`, `r${high}`, settings(random)]);
  };
  for (let router = 1; router < routers.length; router++) join(router, random.below(router));
  for (let count = 0; count < counts.more; count++) join(random.below(routers.length), random.below(routers.length));
  const ends = numbered("h", counts.hosts).map(
    (name) => [name, `r${random.below(routers.length)}`, settings(random)] as const,
  );
  return { routers, links: [...links.values(), ...ends] };
}

function numbered(name: string, count: number): string[] {
  if (!Number.isInteger(count) || count < 0) throw new RangeError(`${String(count)} is no number of hosts`);
  return Array.from({ length: count }, (_, index) => `${name}${index}`);
}

function networksOf(plan: TopologyPlan): Network[] {
  const networks: Network[] = [];
  const lans = Object.entries(plan.lans ?? {});
  const links = plan.links ?? [];
  if (lans.length > mostLans) throw new RangeError(`${lans.length} LANs are more than ${mostLans}`);
  if (links.length > mostLinks) throw new RangeError(`${links.length} links are more than ${mostLinks}`);
  const add = (base: number, length: number, lan: string | undefined, names: readonly string[]): void => {
    const repeated = names.find((name, index) => names.indexOf(name) !== index && names.length < 1000);
    if (repeated !== undefined) throw new RangeError(`host "${repeated}" is twice in one network`);
    const members = names.map((name, index) => ({ name, address: IpAddress.v4(base + index + 1) }));
    networks.push({ prefix: new Prefix(IpAddress.v4(base), length), lan, members });
  };
  for (const [index, [name, { hosts }]] of lans.entries()) add(lanNetworks + ((index + 1) << 16), 16, name, hosts);
  const cables = new Set<string>();
  for (const [index, [one, other]] of links.entries()) {
    if (cables.has(`${one} ${other}`) || cables.has(`${other} ${one}`)) {
      throw new RangeError(`there are two links between "${one}" and "${other}"`);
    }
    cables.add(`${one} ${other}`);
    add(linkNetworks + index * 4, 30, undefined, [one, other]);
  }
  return networks;
}

function interfaceOf(name: string, network: Network, ways: Ways): HostInterface {
  const own = found(
    network.members.find((member) => member.name === name),
    `host "${name}"`,
  );
  const ipv4 = `${own.address.toString()}/${network.prefix.length}`;
  return { ipv4, lan: network.lan ?? false, ...ways.routes(name, network) };
}

/** Who goes which way, by the fewest networks to cross; of equal ways, the one declared first. */
class Ways {
  readonly #networks: readonly Network[];
  readonly #routers: ReadonlySet<string>;
  readonly #attached: ReadonlyMap<string, readonly Network[]>;
  readonly #ofHost = new Map<string, ReadonlyMap<Network, Pick<HostInterface, "gateway" | "routes">>>();

  constructor(
    networks: readonly Network[],
    routers: ReadonlySet<string>,
    attached: ReadonlyMap<string, readonly Network[]>,
  ) {
    this.#networks = networks;
    this.#routers = routers;
    this.#attached = attached;
  }

  /** What a host's interface to one of its networks is told. */
  routes(name: string, network: Network): Pick<HostInterface, "gateway" | "routes"> {
    let all = this.#ofHost.get(name);
    if (all === undefined) {
      all = this.#find(name);
      this.#ofHost.set(name, all);
    }
    return all.get(network) ?? {};
  }

  #find(name: string): ReadonlyMap<Network, Pick<HostInterface, "gateway" | "routes">> {
    const own = this.#attached.get(name) ?? [];
    const [first] = own;
    // A host in one network with one router: no need to look further.
    if (first !== undefined && own.length === 1) {
      const near = first.members.filter((member) => member.name !== name && this.#routers.has(member.name));
      if (near.length === 0) return new Map();
      if (near.length === 1) return new Map([[first, { gateway: near[0]?.address.toString() ?? "" }]]);
    }
    const steps = this.#search(name, own);
    // The neighbour that most of the others are behind gets the default route, and the rest routes of their own.
    const counts = new Map<string, number>();
    for (const { via } of steps.values()) counts.set(via, (counts.get(via) ?? 0) + 1);
    let gateway = "";
    for (const [via, count] of counts) if (count > (counts.get(gateway) ?? 0)) gateway = via;
    const found = new Map<Network, { gateway?: string; routes?: { to: string; via: string }[] }>();
    for (const [network, { via, out }] of steps) {
      const known = found.get(out) ?? {};
      found.set(out, known);
      if (via === gateway) known.gateway = gateway;
      else (known.routes ??= []).push({ to: network.prefix.toString(), via });
    }
    for (const { routes = [] } of found.values()) {
      if (routes.length <= mostRoutes) continue;
      throw new RangeError(`host "${name}" would need ${routes.length} routes by one interface, above ${mostRoutes}`);
    }
    return found;
  }

  /** Breadth first: each network that is not the host's own, with the neighbour it is behind. */
  #search(
    name: string,
    own: readonly Network[],
  ): ReadonlyMap<Network, { readonly via: string; readonly out: Network }> {
    const steps = new Map<Network, { readonly via: string; readonly out: Network }>();
    const seen = new Set<Network>(own);
    let edge = own.map((network) => ({ network, via: "", out: network }));
    while (edge.length > 0 && seen.size < this.#networks.length) {
      const next: typeof edge = [];
      for (const { network, via, out } of edge) {
        for (const member of network.members) {
          if (member.name === name || !this.#routers.has(member.name)) continue;
          for (const beyond of this.#attached.get(member.name) ?? []) {
            if (seen.has(beyond)) continue;
            seen.add(beyond);
            const step = { via: via === "" ? member.address.toString() : via, out };
            steps.set(beyond, step);
            next.push({ network: beyond, ...step });
          }
        }
      }
      edge = next;
    }
    return steps;
  }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`there is no ${what} in the topology`);
  return value;
}
