import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { nameFromText } from "../name-bytes.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { createRecursive } from "./recursive.ts";

const question = { name: nameFromText("www.example.org"), type: 1, class: 1 };
const owner = nameFromText("example.org");
const ns = { owner, type: 2, class: 1, ttl: 60, data: nameFromText("ns.example.org") };
const glue = { owner: ns.data, type: 1, class: 1, ttl: 60, data: Uint8Array.of(192, 0, 2, 1) };
const soaData = Uint8Array.from([...owner, ...owner, ...new Uint8Array(20)]);

function response(fill: (writer: WireMessageWriter) => void, flags: number, rcode = 0): Uint8Array {
  const data = new Uint8Array(2000);
  const writer = new WireMessageWriter(data, 1232);
  fill(writer);
  return data.slice(12, writer.finish(0, flags | 0x8000, rcode));
}

/**
 * Servers that say anything behind a header and a question that are right: the resolver settles, and asks no more than
 * it may. The first byte says how many records there are in each section, the second the flags and the response code.
 */
export const fuzz: FuzzTarget = {
  name: "dns-recursive",
  seeds: [
    Uint8Array.from([
      0x10,
      0x40,
      ...response((writer) => writer.records("answers", [{ ...glue, owner: question.name }]), 0x400),
    ]),
    Uint8Array.from([
      ...[0x05, 0],
      ...response((writer) => {
        writer.records("authorities", [ns]);
        writer.records("additionals", [glue]);
      }, 0),
    ]),
    Uint8Array.from([
      0x04,
      0x43,
      ...response((writer) => writer.records("authorities", [{ ...ns, type: 6, data: soaData }]), 0x400),
    ]),
    Uint8Array.from([
      0x10,
      0x40,
      ...response((writer) => writer.records("answers", [{ ...ns, type: 5, owner: question.name }]), 0x400),
    ]),
  ],
  async run(input) {
    const clock = new VirtualClock();
    const timers = new Scheduler(clock, {
      onError: (error) => {
        throw error;
      },
    });
    let asked = 0;
    const counts = input[0] ?? 0;
    const flags = input[1] ?? 0;
    const resolver = createRecursive({
      timers,
      random: new SeededRandom(1),
      roots: [{ name: "root", addresses: [IpAddress.parse("192.0.2.1")] }],
      families: () => [4],
      exchange: (request) => {
        asked++;
        const end = 12 + questionLength(request.query);
        const answer = new Uint8Array(end + Math.max(0, input.length - 2));
        answer.set(request.query.subarray(0, end));
        answer.set(input.subarray(2), end);
        answer[2] = 0x80 | ((flags >>> 4) & 4);
        answer[3] = flags & 15;
        answer.set([0, counts >>> 4, 0, (counts >>> 2) & 3, 0, counts & 3], 6);
        return Promise.resolve(request.accept(answer, 0, answer.length) ? "accepted" : "unreachable");
      },
    });
    const state = { settled: false };
    const resolution = resolver.resolve(question.name, 1).finally(() => (state.settled = true));
    for (let turns = 0; !state.settled && turns < 5000; turns++) {
      await Promise.resolve();
      if (turns % 50 < 49 || timers.nextDeadline() === Infinity) continue;
      clock.advanceTo(Math.max(clock.now(), timers.nextDeadline()));
      timers.run();
    }
    if (!state.settled) throw new Error("it does not settle");
    const { answers } = await resolution;
    if (asked > 110) throw new Error(`${asked} queries`);
    for (const { set } of answers) if (set.name.length > 255) throw new Error("a name is too long");
  },
};

/** Of the query's name, type and class. */
function questionLength(query: Uint8Array): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += 1 + (query[at] ?? 0);
  return at + 5 - 12;
}
