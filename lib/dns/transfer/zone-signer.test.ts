import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createRepeatableCrypto } from "@tesserae/node/crypto";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { expect, test } from "vitest";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { createZoneKey } from "../dnssec/signature.ts";
import { verifyZone } from "../dnssec/verify-zone.ts";
import { nameFromText } from "../name-bytes.ts";
import { parseRecordData } from "../record/text.ts";
import { alwaysKeys } from "../signing/key-schedule.ts";
import { ZoneSigner } from "./zone-signer.ts";

const apex = nameFromText("e.");
const origin = 1_700_000_000_000;
const day = 86_400;

function zoneOf(serial: number) {
  const builder = new ZoneBuilder(apex);
  const add = (owner: string, type: number, text: string): void => {
    const parsed = parseRecordData(type, text);
    if (!parsed.ok) throw new Error(text);
    builder.add({ owner: nameFromText(owner), type, class: 1, ttl: 60, data: parsed.data });
  };
  add("e.", 6, `ns.e. admin.e. ${serial} 100 20 500 60`);
  add("e.", 2, "ns.e.");
  add("ns.e.", 1, "192.0.2.1");
  add("*.w.e.", 16, "x");
  add("sub.e.", 2, "ns.elsewhere.");
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

test.each(["ed25519", "ecdsa-p256-sha256"] as const)(
  "%s: a zone is signed, and again before its signatures end",
  async (algorithm) => {
    const clock = new VirtualClock({ origin });
    const timers = new Scheduler(clock);
    const crypto = createRepeatableCrypto();
    const random = new SeededRandom(1);
    const key = () => createZoneKey(crypto.generateKey(algorithm, random), true);
    const [old, young] = [key(), key()];
    const zones = new Zones();
    const signer = new ZoneSigner({ zones, crypto, timers, apex, keys: alwaysKeys([old]), validity: 4 * day });
    const faults = () => verifyZone(crypto, zones.get(apex)?.records() ?? [], apex, Math.floor(timers.wall() / 1000));
    signer.publish(zoneOf(5));
    expect(zones.get(apex)?.serial).toBe(5);
    expect(faults()).toEqual([]);
    const days = async (): Promise<void> => {
      for (let count = 1; count <= 9; count++) {
        await sleep(timers, day * 1000);
        expect(faults()).toEqual([]);
      }
    };
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    await runVirtual({ clock, schedulers: [timers], turn, limit: 10 * day * 1000 }, days());
    // Every two days, with a serial number of its own.
    expect(zones.get(apex)?.serial).toBe(9);
    signer.publish(zoneOf(8));
    expect(zones.get(apex)?.serial).toBe(10);
    signer.publish(zoneOf(50));
    expect(zones.get(apex)?.serial).toBe(50);
    // RFC 6781 §4.1: both keys, then the new one alone.
    signer.setKeys(alwaysKeys([old, young]));
    expect(zones.get(apex)?.recordsOf(apex, 48).length).toBe(2);
    expect(faults()).toEqual([]);
    signer.setKeys(alwaysKeys([young]));
    expect(
      zones
        .get(apex)
        ?.recordsOf(apex, 48)
        .map((each) => [...each.data]),
    ).toEqual([[...young.data]]);
    expect(faults()).toEqual([]);
    signer.close();
  },
);

test("signatures that would end at once are refused", () => {
  const timers = new Scheduler(new VirtualClock({ origin }));
  const common = { zones: new Zones(), crypto: createRepeatableCrypto(), timers, apex, keys: [] };
  expect(() => new ZoneSigner({ ...common, validity: 60 })).toThrow("validity is 60 s, not above 7200");
  expect(() => new ZoneSigner(common)).toThrow("e.: no key signs now");
});
