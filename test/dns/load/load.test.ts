// Our name server under as much load as it takes, one packet in a hundred malformed: every answer is right, nothing is
// written to stderr, and memory stays what it was. `npm run soak:dns-load` does it for ten minutes on each device.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileGenerator } from "../../../bench/dns/generator.ts";
import { device, memoryOf, Place, serverAddress } from "../../../bench/dns/place.ts";
import { queryFile, zoneFile } from "../../../bench/dns/zone.ts";
import { apex } from "../../../bench/dns/zone-text.ts";
import { median } from "../../../bench/harness/race.ts";
import { unavailable } from "../../namespace/namespace.ts";
import { ours } from "../servers/ours.ts";
import type { OwnDevice } from "../servers/own-server.ts";

const reason = unavailable("gcc", "dig", "ethtool", "taskset");
const seconds = Number(process.env["DNS_LOAD_SECONDS"] ?? "4");
// as: whoever sets it names devices; another name fails when the server starts
const devices = (process.env["DNS_LOAD_DEVICES"] ?? "sockets,tap").split(",") as OwnDevice[];
/** What the engine's heap may grow by until it has found its size. */
const growth = 48 * 2 ** 20;

describe.skipIf(reason !== undefined)(`a name server under load${reason === undefined ? "" : `: ${reason}`}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "dns-load-"));
  let program: string;
  let file: string;
  let queries: string;
  beforeAll(() => {
    program = compileGenerator();
    file = zoneFile(folder, 10_000);
    queries = queryFile(folder, 10_000, { name: "soak", existing: 0.7, dnssec: false, malformed: 0.01 });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(devices)(
    `on %s, ${seconds} s`,
    async (kind) => {
      const place = Place.open({ link: kind === "tap" ? "tap" : "veth", xdp: kind === "xdp" });
      try {
        const zones = [{ apex, file }];
        const serving = { address: serverAddress, port: 53, zones, folder, xdp: device };
        const server = place.start(ours(kind).configure(serving), "pipe");
        let said = "";
        server.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
        await place.answers(apex, 53);
        place.prepareGenerator(kind === "xdp");
        const options = {
          server: serverAddress,
          queries,
          throughXdp: kind === "xdp",
          outstanding: 128,
          timeoutMs: 1000,
        };
        // Compiles the hot code and fills the tables.
        await place.load(program, { ...options, seconds: 1 });
        const sizes: number[] = [];
        const watch = setInterval(() => sizes.push(memoryOf(server.pid ?? 0)), Math.max(100, seconds * 10));
        const load = await place.load(program, { ...options, seconds });
        clearInterval(watch);
        expect(load).toMatchObject({ wrong: 0, unexpected: 0 });
        expect(load.answered).toBeGreaterThan(1000);
        expect(load.looseSent).toBeGreaterThan(load.sent * 0.005);
        // A full queue of the kernel's drops a datagram now and then, more often where the machine has other work.
        expect(load.timedOut).toBeLessThan(load.sent / 20);
        expect(server.exitCode).toBeNull();
        expect(said).toBe("");
        const part = Math.ceil(sizes.length / 4);
        expect(median(sizes.slice(-part))).toBeLessThan(median(sizes.slice(0, part)) + growth);
        const mebibytes = (size: number): string => (size / 2 ** 20).toFixed(1);
        console.log(
          `${kind}: ${load.answered} answers, ${load.looseSent} malformed of which ${load.looseAnswered} were answered, ` +
            `${load.timedOut} unanswered, ${mebibytes(sizes[0]!)} MiB, in the end ${mebibytes(sizes.at(-1)!)} MiB`,
        );
      } finally {
        place.close();
      }
    },
    (seconds + 60) * 1000,
  );
});
