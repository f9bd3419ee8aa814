// The same program on the kernel's sockets and on ours: it must not be able to tell the difference.
import { setTimeout as sleep } from "node:timers/promises";
import { Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { installNodeApi } from "@tesserae/node-api/install";
import { createRandom } from "@tesserae/node/random";
import { createHosts } from "@tesserae/tcpip/hosts";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { expect, test } from "vitest";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { createPromptTimers } from "./prompt-timers.ts";
import { Transcript } from "./transcript.ts";

/** What a program does, on 127.0.0.1, and writes down. */
export type Scenario = (transcript: Transcript, certificate: Certificate) => Promise<void>;

/** Milliseconds that a program may take: generous, as hosts are busy. */
const patience = 120_000;

let certificate: Certificate | undefined;

/** Tests that `scenario` writes down the same on both. */
export function parity(name: string, scenario: Scenario): void {
  test(
    name,
    async () => {
      certificate ??= makeCertificate("site.test");
      const kernel = new Transcript();
      await scenario(kernel, certificate);
      expect(Object.keys(kernel.parties)).not.toEqual([]);

      const timers = createPromptTimers();
      const stack = await createStack({
        netif: createLink({ timers }).a,
        timers,
        random: createRandom(),
        ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24") },
      });
      const api = installNodeApi({ stack, resolver: createHosts() });
      const own = new Transcript();
      try {
        await scenario(own, certificate);
        // What a scenario does not wait for may still be closing; a stack that goes away is an error to it.
        for (let turn = 0; turn < 200 && stack.tcp.statistics.connections > 0; turn++) await sleep(10);
      } finally {
        api.uninstall();
        await stack.close();
        timers.close();
      }
      expect(own.parties).toEqual(kernel.parties);
    },
    patience,
  );
}
