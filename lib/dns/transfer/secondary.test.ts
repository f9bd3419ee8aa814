import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import { createCrypto } from "@tesserae/node/crypto";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { expect, test } from "vitest";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { nameFromText } from "../name-bytes.ts";
import { parseRecordData } from "../record/text.ts";
import type { Exchange } from "../recursive/upstream.ts";
import { Journal } from "./journal.ts";
import { ZonePolicies } from "./policy.ts";
import { Secondaries } from "./secondaries.ts";

const apex = nameFromText("e.");
const peer = { address: IpAddress.loopback4 };

function zoneOf() {
  const builder = new ZoneBuilder(apex);
  // Refresh 100 s, retry 20 s, expire 500 s.
  const data = parseRecordData(6, "ns.e. admin.e. 1 100 20 500 60");
  if (!data.ok) throw new Error("no data");
  builder.add({ owner: apex, type: 6, class: 1, ttl: 60, data: data.data });
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

/** A secondary in virtual time whose primary's answers are `exchange`'s; nobody can be connected to. */
async function run(exchange: Exchange, hasZone: boolean, seconds: number) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock, { onError: () => undefined });
  const zones = new Zones();
  if (hasZone) zones.replace(zoneOf());
  let connections = 0;
  let asked = 0;
  const secondaries = new Secondaries(
    {
      ...{ zones, policies: new ZonePolicies(), crypto: createCrypto(), timers, random: new SeededRandom(1) },
      exchange: (request) => {
        if (!request.overTcp) asked++;
        return exchange(request);
      },
      tcp: {
        connect: () => {
          connections++;
          return Promise.reject(new FlowError("refused", "nobody is there"));
        },
        listen: () => Promise.reject(new FlowError("permission", "nobody listens")),
      },
    },
    new Journal({ zones }),
  );
  secondaries.add(apex, { primaries: [peer] });
  const states: boolean[] = [];
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const watch = async (): Promise<void> => {
    for (let second = 0; second < seconds; second += 10) {
      await sleep(timers, 10_000);
      states.push(zones.get(apex) !== undefined);
    }
  };
  await runVirtual({ clock, schedulers: [timers], turn }, watch());
  secondaries.close();
  return { states, connections, asked };
}

test("RFC 1034 §4.3.5: a zone whose primary is silent is served until it expires, and not after that", async () => {
  const { states, asked } = await run(() => Promise.resolve("unreachable"), true, 600);
  expect(states.slice(0, 48)).not.toContain(false);
  expect(states.slice(-8)).not.toContain(true);
  // Two tries each retry time of 18 to 20 s.
  expect(asked).toBeGreaterThan(40);
  expect(asked).toBeLessThan(80);
});

test("a primary that says what we have keeps it alive, asked once a refresh time", async () => {
  const answer: Exchange = (request) => {
    const query = request.query.slice();
    // The same question with its SOA record as the answer.
    const data = parseRecordData(6, "ns.e. admin.e. 1 100 20 500 60");
    if (!data.ok) throw new Error("no data");
    query[2] = 0x84;
    query[7] = 1;
    const record = [...apex, 0, 6, 0, 1, 0, 0, 0, 60, 0, data.data.length, ...data.data];
    const message = Uint8Array.of(...query, ...record);
    expect(request.accept(message, 0, message.length)).toBe(true);
    return Promise.resolve("accepted");
  };
  const { states, asked } = await run(answer, true, 2000);
  expect(states).not.toContain(false);
  expect(asked).toBeGreaterThanOrEqual(20);
  expect(asked).toBeLessThan(25);
});

test("without a zone the primary is tried more and more rarely", async () => {
  const { states, connections } = await run(() => Promise.resolve("unreachable"), false, 20_000);
  expect(states).not.toContain(true);
  expect(connections).toBeGreaterThan(10);
  expect(connections).toBeLessThan(20);
});
