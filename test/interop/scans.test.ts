// What scanners and packet crafters send: our stack answers as the RFCs say, and serves on.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../namespace/namespace.ts";
import { echoPort, GuardedStack, httpPort, ownAddress } from "./guarded-stack.ts";

const reason = unavailable("nmap", "hping3");
const skipped = reason === undefined ? "" : ` (${reason})`;

let guarded: GuardedStack;

beforeAll(async () => {
  if (reason === undefined) guarded = await GuardedStack.open();
});
afterAll(async () => {
  if (reason === undefined) await guarded.close();
});
afterEach(async () => {
  if (reason !== undefined) return;
  // Whatever came: nothing threw, the port is served, and nothing is left behind.
  expect(await guarded.fetched()).toContain("tesserae");
  expect(guarded.errors).toEqual([]);
});

/** Port and state, as nmap found them. */
async function nmap(...args: readonly string[]): Promise<{ readonly text: string; readonly ports: string[] }> {
  const text = await guarded.namespace.succeeds("nmap", [
    "-n",
    "-Pn",
    "-T5",
    "--max-retries",
    "2",
    ...args,
    ownAddress,
  ]);
  const ports = [...text.matchAll(/^(\d+(?:\/\w+)?)\s+(\S+)/gm)].map(([, port, state]) => `${port} ${state}`);
  return { text, ports };
}

describe.skipIf(reason !== undefined)(`nmap${skipped}`, () => {
  const ports = ["-p", "7,9,80"];

  test.each([
    ["SYN (-sS)", "-sS", "open", "closed"],
    ["connect (-sT)", "-sT", "open", "closed"],
    ["ACK (-sA): every port answers with a reset", "-sA", "unfiltered", "unfiltered"],
    ["window (-sW): resets carry no window", "-sW", "closed", "closed"],
    ["NULL (-sN): RFC 9293 §3.10.7.2, an open port keeps silent", "-sN", "open|filtered", "closed"],
    ["FIN (-sF)", "-sF", "open|filtered", "closed"],
    ["Xmas (-sX)", "-sX", "open|filtered", "closed"],
    ["Maimon (-sM): RFC 9293 §3.10.7.2, an ACK is reset whatever else is set", "-sM", "closed", "closed"],
  ])(
    "%s",
    async (_name, scan, open, closed) => {
      expect((await nmap(scan, ...ports)).ports).toEqual([`7/tcp ${open}`, `9/tcp ${closed}`, `80/tcp ${open}`]);
    },
    60_000,
  );

  test("UDP (-sU): ICMP says which port is closed", async () => {
    const { ports: found } = await nmap("-sU", "-p", "7,9", "--data-string", "hello");
    expect(found).toEqual(["7/udp open", "9/udp closed"]);
  }, 60_000);

  test("a SYN scan in fragments of 24 bytes, with data", async () => {
    const { ports: found } = await nmap("-sS", "--mtu", "24", "--data-length", "60", ...ports);
    expect(found).toEqual(["7/tcp open", "9/tcp closed", "80/tcp open"]);
  }, 60_000);

  test("RFC 1858 §3: first fragments too short for a TCP header (-f) go to nobody", async () => {
    const { ports: found } = await nmap("-sS", "-f", "--max-retries", "0", ...ports);
    expect(found).toEqual(["7/tcp filtered", "9/tcp filtered", "80/tcp filtered"]);
  }, 60_000);

  test("bad checksums are not answered (--badsum)", async () => {
    const { ports: found } = await nmap("-sS", "--badsum", "--max-retries", "0", ...ports);
    expect(found).toEqual(["7/tcp filtered", "9/tcp filtered", "80/tcp filtered"]);
  }, 60_000);

  test("IP protocols (-sO): ICMP says which are not spoken", async () => {
    const { ports: found } = await nmap("-sO", "-p", "1,6,17,132");
    expect(found).toEqual(["1 open", "6 open", "17 open", "132 closed"]);
  }, 60_000);

  test("finds out what serves (-sV), and guesses the system (-O)", async () => {
    const [services, system] = await Promise.all([
      nmap("-sV", "--version-intensity", "2", ...ports),
      nmap("-O", "--max-os-tries", "1", ...ports),
    ]);
    expect(services.text).toMatch(/80\/tcp\s+open\s+http/);
    expect(services.text).toMatch(/7\/tcp\s+open\s+echo/);
    // Nobody has told nmap about us: it must not find us broken either.
    expect(system.text).toMatch(/OS|fingerprint/);
  }, 120_000);
});

describe.skipIf(reason !== undefined)(`hping3${skipped}`, () => {
  /** Sends `count` packets, and gives what came back. */
  async function hping(count: number, ...args: readonly string[]): Promise<string> {
    const ran = await guarded.namespace.ran("hping3", ["-n", "-c", `${count}`, "-i", "u2000", ...args, ownAddress]);
    // It ends with 1 when nothing came back.
    expect([0, 1], ran.stderr).toContain(ran.status);
    return ran.stdout;
  }

  const port = String(httpPort);

  test("a SYN is answered with SYN and ACK, a SYN to a closed port with a reset", async () => {
    expect(await hping(3, "-S", "-p", port)).toContain("flags=SA");
    expect(await hping(3, "-S", "-p", "9")).toContain("flags=RA");
  });

  test.each([
    ["no flags", []],
    ["SYN and FIN", ["-S", "-F"]],
    ["SYN and RST", ["-S", "-R"]],
    ["all flags, the reserved ones too", ["-F", "-S", "-R", "-P", "-A", "-U", "-X", "-Y"]],
    ["an urgent pointer beyond the data", ["-A", "-U", "-d", "10"]],
    ["a header length below 20", ["-S", "-O", "1"]],
    ["a header longer than the packet", ["-S", "-O", "15"]],
    ["a bad checksum", ["-S", "-b"]],
    ["data in the SYN", ["-S", "-d", "1000"]],
    ["a window of nothing", ["-S", "-w", "0"]],
  ] as const)("%s", async (_name, flags) => {
    await Promise.all([port, String(echoPort), "9"].map((each) => hping(10, "-p", each, ...flags)));
  });

  test("the land attack: our own address and port as the source", async () => {
    const echo = String(echoPort);
    await Promise.all([
      hping(20, "-S", "-a", ownAddress, "-s", port, "-k", "-p", port),
      hping(20, "-2", "-a", ownAddress, "-s", echo, "-k", "-p", echo),
    ]);
  });

  test("sources that nobody has: loopback, broadcast, multicast, any", async () => {
    const sources = ["127.0.0.1", "255.255.255.255", "10.1.0.255", "224.0.0.1", "0.0.0.0"];
    await Promise.all(
      sources.map(async (source) => {
        expect(await hping(5, "-S", "-a", source, "-p", port)).not.toContain("flags=SA");
        await hping(5, "-1", "-a", source);
        await hping(5, "-2", "-a", source, "-p", String(echoPort));
      }),
    );
  });

  test("a thousand SYNs from addresses made up", async () => {
    await guarded.namespace.ran("hping3", [
      "-n",
      "-c",
      "1000",
      "-i",
      "u500",
      "-S",
      "--rand-source",
      "-p",
      port,
      ownAddress,
    ]);
    expect(guarded.own.tcp.statistics.halfOpen).toBeLessThanOrEqual(4096);
  }, 60_000);

  test("fragments: tiny ones, ones that never end, ones that overlap, offsets beyond a packet", async () => {
    await Promise.all([
      hping(5, "-S", "-p", port, "-f", "-d", "400"),
      hping(50, "-2", "-p", String(echoPort), "-x", "-d", "64"),
      hping(50, "-2", "-p", String(echoPort), "-g", "8", "-d", "64"),
      hping(50, "-1", "-g", "65528", "-d", "64"),
      hping(20, "-1", "-x", "-y", "-d", "64"),
    ]);
  });

  test("IP options: record route, source routes", async () => {
    await Promise.all([
      hping(10, "-1", "--rroute"),
      hping(10, "-S", "-p", port, "--lsrr", "10.1.0.9"),
      hping(10, "-S", "-p", port, "--ssrr", "10.1.0.9"),
    ]);
  });

  test("ICMP of every type, and codes that nobody defined", async () => {
    const types = [0, 3, 4, 5, 9, 10, 11, 12, 13, 15, 17, 42, 255].map(String);
    await Promise.all(
      types.map(async (type) => {
        await hping(3, "-1", "--force-icmp", "-C", type, "-K", "0", "-d", "40");
        await hping(2, "-1", "--force-icmp", "-C", type, "-K", "200");
      }),
    );
  }, 60_000);

  test("protocols that we do not speak", async () => {
    const protocols = [0, 2, 41, 47, 50, 89, 132, 255].map(String);
    await Promise.all(protocols.map((protocol) => hping(3, "-0", "-H", protocol, "-d", "64")));
  });
});
