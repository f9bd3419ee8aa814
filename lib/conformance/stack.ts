import { ensure, ensureEqual, ensureFlowError } from "./assert.ts";
import { pattern, within } from "./pause.ts";
import { flowsOver, type StackPair } from "./tcp.ts";
import { defineCase, type Suite } from "./suite.ts";

/**
 * The contract of `Stack` itself. Each case closes B: B must be a stack of its own, and the subject is of no use
 * afterwards.
 */
export const stackSuite: Suite<StackPair> = [
  defineCase("addresses leave out loopback and are distinct", ({ a, b }) => {
    for (const { addresses } of [a, b]) {
      ensure(
        addresses.every((each) => !each.isLoopback),
        "a loopback address is listed",
      );
      ensureEqual(new Set(addresses.map(String)).size, addresses.length, "distinct addresses");
    }
  }),

  defineCase("close aborts every flow and frees every port", async (subject) => {
    const { b, timers } = subject;
    const pair = await flowsOver(subject).connect();
    const listener = await b.tcp.listen({ port: 0 }, (flow) => flow.abort());
    const socket = await b.udp.bind({}, () => undefined);
    const reading = ensureFlowError(pair.far.read(new Uint8Array(8)), ["aborted", "closed"], "a pending read");
    await within(timers, Promise.all([b.close(), b.close()]), "close");
    await within(timers, reading, "the pending read");
    await ensureFlowError(pair.far.write(pattern(8, 1)), ["aborted", "closed"], "a write after close");
    ensureEqual(socket.send(pattern(8, 1), 0, 8, subject.addressOfB, 9), false, "send after close");
    await within(timers, Promise.all([listener.close(), socket.close(), pair.far.close()]), "closing what is closed");
    await within(timers, b.close(), "a second close");
    pair.near.abort();
  }),
];
