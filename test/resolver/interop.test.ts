import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bind } from "../dns/servers/bind.ts";
import { knot } from "../dns/servers/knot.ts";
import type { NameServer } from "../dns/servers/name-server.ts";
import { nsd } from "../dns/servers/nsd.ts";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { makeTree, places, type SignedTree } from "./signed-tree.ts";

process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const missing = unavailable("nsd", "knotd", "named", "unbound", "dig", "delv", "dnssec-signzone");
const root = path.join(import.meta.dirname, "../..");

/** The resolvers that are compared, each at an address, or port, of its own. */
const resolvers = { unbound: "127.0.2.1", BIND: "127.0.2.2", ours: "127.0.2.3" } as const;
type Resolver = keyof typeof resolvers;
const ourPort = 5300;

const types = ["A", "AAAA", "MX", "TXT", "NS", "SOA", "DS", "DNSKEY", "CNAME", "SRV", "TYPE999"];
const names = [
  ...["", "www", "alias", "chain", "out", "mail", "name", "er.name", "deep.er.name", "any.wild", "wild", "a.b.wild"],
  ...["sub.wild", "x.sub.wild", "q.cwild", "dname", "below.dname", "www.dname", "txt", "_s._tcp", "_tcp", "lost"],
  ...["nothing", "no.thing", "*.wild", "big.case", "zzz", "0"],
];

/** What of an answer is compared. */
interface Said {
  readonly status: string;
  readonly ad: boolean;
  readonly answer: readonly string[];
}

describe.skipIf(missing !== undefined)(`a private tree of signed zones (${missing ?? "NSD, Knot and BIND"})`, () => {
  let folder: string;
  let namespace: Namespace;
  let tree: SignedTree;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "tesserae-resolver-"));
    tree = makeTree(path.join(folder, "zones"));
    namespace = Namespace.create();
    // BIND listens only on addresses that an interface has.
    for (const address of [...Object.values(places), ...Object.values(resolvers)]) {
      namespace.ip(`addr add ${address}/32 dev lo`);
    }
    const serve = (server: NameServer, place: keyof typeof places): void => {
      const own = path.join(folder, server.name);
      const { program, args } = server.configure({
        address: places[place],
        port: 53,
        zones: tree.zones[place],
        folder: own,
      });
      namespace.start(program, args);
    };
    serve(nsd, "root");
    serve(knot, "tld");
    serve(bind, "leaf");
    startRivals(namespace, folder, tree);
    startOurs(namespace, tree);
    for (const resolver of ["unbound", "BIND", "ours"] as const) await answering(resolver);
  }, 120_000);

  afterAll(() => {
    namespace.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  async function answering(resolver: Resolver): Promise<void> {
    for (let round = 0; round < 60; round++) {
      const [said] = ask(resolver, ["signed.tld SOA"]);
      if (said?.status === "NOERROR" && said.ad) return;
      await sleep(500);
    }
    throw new Error(`${resolver} does not answer: ${JSON.stringify(ask(resolver, ["signed.tld SOA"]))}`);
  }

  function ask(resolver: Resolver, questions: readonly string[], flags = "+dnssec"): Said[] {
    const port = resolver === "ours" ? ourPort : 53;
    const lines = questions.map(
      (question) => `@${resolvers[resolver]} -p ${port} ${question} ${flags} +tries=1 +time=12`,
    );
    const file = path.join(folder, `questions.${resolver}`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    const words = ["+noall", "+comments", "+question", "+answer", "-f", file];
    const { stdout } = namespace.attempt("dig", words, { timeout: 280_000 });
    const said = new Map(
      stdout
        .split(";; ->>HEADER<<-")
        .slice(1)
        .map((text) => [questionOf(text), read(text)]),
    );
    const silence: Said = { status: "none", ad: false, answer: [] };
    return questions.map((question) => said.get(question.replace(/\.? /, ". ").replace(/^\.+/, ".")) ?? silence);
  }

  test("says what unbound or BIND says of every name, signed, unsigned and bogus", { timeout: 300_000 }, () => {
    const questions = tree.leaves.flatMap((zone) =>
      names.flatMap((name, at) => {
        // Two types each, so that each type meets each kind of name in some zone.
        const first = at === 0 ? types : [types[(at + zone.length) % types.length]!, "A"];
        return [...new Set(first)].map((type) => `${name === "" ? "" : `${name}.`}${zone} ${type}`);
      }),
    );
    questions.push(". NS", ". DNSKEY", "tld NS", "tld DS", "nothing A", "no.such.name MX", "tld A", "nowhere.tld A");
    expect(questions.length).toBeGreaterThan(700);
    const unbound = ask("unbound", questions);
    const ours = ask("ours", questions);
    const same = (one: Said | undefined, other: Said | undefined): boolean =>
      JSON.stringify(one) === JSON.stringify(other);
    // BIND takes its time over what is bogus: of that it is asked only where the others differ.
    const forBind = questions.filter((_, at) => unbound[at]!.status !== "SERVFAIL" || !same(unbound[at], ours[at]));
    const named = new Map(ask("BIND", forBind).map((said, at) => [forBind[at], said]));
    const wrong: string[] = [];
    for (const [at, question] of questions.entries()) {
      // 100 iterations are above our bound (RFC 9276 §3.2 lets it be anything) and below theirs: no name is denied securely.
      const isCostly = question.includes("costly.tld");
      const plain = (said: Said | undefined): Said | undefined => {
        return said === undefined || !isCostly ? said : { ...said, ad: false };
      };
      const [theirs, own] = [[unbound[at], named.get(question)].map(plain), plain(ours[at])];
      // Where the two differ, one of them will do.
      if (theirs.some((said) => same(said, own))) continue;
      wrong.push(
        `${question}\n  unbound ${JSON.stringify(theirs[0])}\n  BIND ${JSON.stringify(theirs[1])}\n  ours ${JSON.stringify(own)}`,
      );
    }
    expect(wrong.join("\n")).toBe("");
    expect(ours.filter(({ ad }) => ad).length).toBeGreaterThan(200);
    expect(ours.filter(({ status }) => status === "SERVFAIL").length).toBeGreaterThan(50);
    expect(forBind.length).toBeGreaterThan(400);
    const denied = questions.findIndex((question) => /^no\.thing\.costly\.tld/.test(question));
    expect([ours[denied]!.status, ours[denied]!.ad]).toEqual(["NXDOMAIN", false]);
  });

  test("tells why, and gives what is bogus to those who look for themselves", () => {
    const bogus = [
      "www.tampered.tld A",
      "www.expired.tld A",
      "www.early.tld A",
      "www.stripped.tld A",
      "x.proofless.tld A",
    ];
    expect(ask("ours", bogus).map(({ status }) => status)).toEqual(bogus.map(() => "SERVFAIL"));
    expect(ask("ours", bogus, "+dnssec +cd").map(({ status }) => status)).toEqual([
      ...bogus.slice(1).map(() => "NOERROR"),
      "NXDOMAIN",
    ]);
    const why = bogus.map((question) => {
      const words = [`@${resolvers.ours}`, "-p", String(ourPort), ...question.split(" ")];
      return /EDE: (\d+)/.exec(namespace.run("dig", words))?.[1];
    });
    expect(why).toEqual(["6", "7", "8", "10", "12"]);
  });

  test("RFC 8198: made-up names in a signed zone cost its servers only the first few questions", () => {
    const made = Array.from({ length: 200 }, (_, at) => `made${at}.ed.tld ${at % 2 === 0 ? "A" : "MX"}`);
    const said = ask("ours", made);
    expect(said.every(({ status, ad }) => status === "NXDOMAIN" && ad)).toBe(true);
    // The server is gone, and with it every name that has to be asked for.
    namespace.ip(`addr del ${places.leaf}/32 dev lo`);
    try {
      const later = Array.from({ length: 50 }, (_, at) => `made${1000 + at}.ed.tld A`);
      expect(ask("ours", later).every(({ status, ad }) => status === "NXDOMAIN" && ad)).toBe(true);
    } finally {
      namespace.ip(`addr add ${places.leaf}/32 dev lo`);
    }
  });

  test("delv finds answers secure, insecure and bogus through it, and over TCP too", () => {
    const anchors = path.join(folder, "delv.keys");
    writeFileSync(anchors, `trust-anchors { ${staticAnchors(tree.anchor).join(" ")} };\n`);
    const delv = (...words: string[]): string => {
      const { stdout, stderr } = namespace.attempt("delv", [
        ...[`@${resolvers.ours}`, "-p", String(ourPort), "-a", anchors, "+root=.", ...words],
      ]);
      return `${stdout}${stderr}`;
    };
    for (const name of ["www.signed.tld", "any.wild.nsec3.tld", "www.ed.tld", "www.rsa.tld", "www.p384.tld"]) {
      expect(delv(name, "A")).toContain("; fully validated");
      expect(delv("+tcp", name, "A")).toContain("; fully validated");
    }
    expect(delv("nothing.signed.tld", "A")).toContain("negative response, fully validated");
    expect(delv("www.unsigned.tld", "A")).toContain("; unsigned answer");
    expect(delv("www.tampered.tld", "A")).toContain("resolution failed");
  });
});

function questionOf(text: string): string {
  const [, name = "", type = ""] = /^;(\S+)\s+IN\s+(\S+)$/m.exec(text) ?? [];
  return `${name} ${type}`;
}

function read(text: string): Said {
  const lines = text.split("\n");
  const answer = lines.filter((line) => line !== "" && !line.startsWith(";") && !line.includes("opcode:"));
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? "none",
    ad: /flags:[^;]* ad[ ;]/.test(text),
    answer: answer
      .map((line) =>
        line
          .split(/\s+/)
          .filter((_, at) => at !== 1)
          .join(" ")
          .toLowerCase(),
      )
      .filter((line) => !line.includes(" rrsig "))
      .sort(),
  };
}

function startRivals(namespace: Namespace, folder: string, { anchor }: SignedTree): void {
  for (const name of ["unbound", "named"]) mkdirSync(path.join(folder, name), { recursive: true });
  const hints = path.join(folder, "hints");
  writeFileSync(hints, `. 3600 NS ns.\nns. 3600 A ${places.root}\n`);
  const anchorFile = path.join(folder, "anchor");
  writeFileSync(anchorFile, anchor);
  const unbound = path.join(folder, "unbound/unbound.conf");
  writeFileSync(
    unbound,
    `server:
  interface: ${resolvers.unbound}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  root-hints: "${hints}"
  trust-anchor-file: "${anchorFile}"
  username: ""
  chroot: ""
  directory: "${folder}/unbound"
  pidfile: "${folder}/unbound/pid"
  use-syslog: no
  verbosity: 0
  module-config: "validator iterator"
  val-bogus-ttl: 5
remote-control:
  control-enable: no
`,
  );
  namespace.start("unbound", ["-d", "-c", unbound]);
  const named = path.join(folder, "named/named.conf");
  writeFileSync(
    named,
    `options {
  directory "${folder}/named";
  pid-file "${folder}/named/pid";
  session-keyfile "${folder}/named/session.key";
  listen-on port 53 { ${resolvers.BIND}; };
  listen-on-v6 { none; };
  recursion yes;
  allow-query { any; };
  dnssec-validation yes;
  empty-zones-enable no;
  minimal-responses yes;
  servfail-ttl 0;
};
controls { };
trust-anchors { ${staticAnchors(anchor).join(" ")} };
zone "." { type hint; file "${hints}"; };
`,
  );
  namespace.start("named", ["-f", "-4", "-n", "1", "-c", named]);
}

/** DS records as BIND's tools want them. */
function staticAnchors(anchor: string): string[] {
  return anchor
    .trim()
    .split("\n")
    .map((line) => {
      const [, tag, algorithm, type, digest] = /DS\s+(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return `. static-ds ${tag} ${algorithm} ${type} "${digest?.replaceAll(" ", "")}";`;
    });
}

function startOurs(namespace: Namespace, { anchor }: SignedTree): void {
  const tool = path.join(root, "node_modules/.bin/tesserae");
  execFileSync(tool, ["build", "examples/resolver", "--target", "node", "--no-check"], { cwd: root, stdio: "pipe" });
  const image = path.join(root, "examples/resolver/.tesserae/node/resolver.mjs");
  const anchors = anchor.trim().split("\n").join(";");
  namespace.start(process.execPath, [
    image,
    ...["--port", String(ourPort), "--roots", `ns=${places.root}`, "--anchors", anchors, "--loopback"],
  ]);
}
