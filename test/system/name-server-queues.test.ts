import { afterEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { LaunchedImage } from "./launched-image.ts";
import { patience } from "./duration.ts";

// The example name server as two instances: every query is answered, whichever instance it comes to.

const reason = unavailable("dig");
const questions = 24;
let namespace: Namespace | undefined;
afterEach(() => namespace?.destroy());

describe.skipIf(reason !== undefined)(
  `a name server on two queues${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    test.each([
      ["node", "127.0.0.1"],
      ["tap", "10.0.0.2"],
    ])(
      "on %s",
      async (target, address) => {
        namespace = Namespace.create();
        const flags = ["--target", target, "--queues", "2", "--rate", "0"];
        const image = await LaunchedImage.start(["examples/nameserver", ...flags], "answering", namespace.name);
        // The other instance is up a little later: until then its queries wait.
        for (let tries = 0; tries < 600 && image.output.split("answering").length < 3; tries++) {
          await new Promise((resolve) => void setTimeout(resolve, 100));
        }
        const dig = (...words: string[]): Promise<string> =>
          namespace!.succeeds("dig", [`@${address}`, "-p", "5300", "+short", "+timeout=10", ...words]);
        for (let index = 1; index <= questions; index++) {
          const tcp = index % 2 === 0 ? ["+tcp"] : [];
          expect(await dig(...tcp, `host${index}.example.org`)).toBe(`10.0.0.${index}\n`);
        }
        expect(await image.stop(), image.output).toBe(0);
        const counts = [...image.output.matchAll(/answered.*?udp=(\d+).*?tcp=(\d+)/g)].map(([, udp, tcp]) => [
          Number(udp),
          Number(tcp),
        ]);
        expect(counts, image.output).toHaveLength(2);
        // Of both kinds each instance has had some, and together they had all.
        const sum = counts.flat().reduce((total, count) => total + count, 0);
        expect(sum).toBe(questions);
        for (const [udp = 0, tcp = 0] of counts) expect(udp + tcp).toBeGreaterThan(0);
      },
      patience,
    );
  },
);
