import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { IpAddress } from "@tesserae/device/address";
import { blockSuite, readOnlyBlockSuite } from "@tesserae/conformance/block";
import { consoleSuite } from "@tesserae/conformance/console";
import { cryptoSuite, repeatableCryptoSuite } from "@tesserae/conformance/crypto";
import { kvSuite } from "@tesserae/conformance/kv";
import { randomSuite } from "@tesserae/conformance/random";
import { resolverSuite } from "@tesserae/conformance/resolver";
import { Skipped, type Suite } from "@tesserae/conformance/suite";
import { timersSuite } from "@tesserae/conformance/timers";
import { afterEach, describe, test } from "vitest";
import { createConsole } from "./console.ts";
import { createCrypto, createRepeatableCrypto } from "./crypto.ts";
import { createDirectory } from "./directory.ts";
import { createFileBlock } from "./file-block.ts";
import { createKernelResolver } from "./kernel-resolver.ts";
import { createRandom } from "./random.ts";
import { createTimers } from "./timers.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "tesserae-conformance-"));
  folders.push(made);
  return made;
}

function holds<Subject>(what: string, suite: Suite<Subject>, make: () => Subject | Promise<Subject>): void {
  describe(what, () => {
    for (const each of suite) {
      test(each.name, async (context) => {
        try {
          await each.run(await make());
        } catch (error) {
          if (error instanceof Skipped) context.skip(error.message);
          throw error;
        }
      });
    }
  });
}

// What timers' callbacks throw on purpose is of no interest.
holds("timers", timersSuite, () => createTimers({ onError: () => undefined }));
holds("random", randomSuite, () => createRandom());
holds("crypto", cryptoSuite, () => createCrypto());
holds("repeatable crypto", [...cryptoSuite, ...repeatableCryptoSuite], () => createRepeatableCrypto());
holds("kernel resolver", resolverSuite, () => ({
  resolver: createKernelResolver(),
  known: { name: "localhost", address: IpAddress.loopback4 },
}));
holds("console", consoleSuite, () => {
  const input = new PassThrough();
  const output = new PassThrough();
  let text = "";
  output.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return {
    console: createConsole({ input, output }),
    timers: createTimers(),
    output: () => text,
    type: (typed: string) => void input.write(typed),
  };
});
holds("directory", kvSuite, () => ({
  make: async (files: Readonly<Record<string, Uint8Array>>) => {
    const path = await folder();
    for (const [key, bytes] of Object.entries(files)) {
      await mkdir(dirname(join(path, key)), { recursive: true });
      await writeFile(join(path, key), bytes);
    }
    return await createDirectory({ path });
  },
}));
holds("file block", blockSuite, async () => {
  const path = join(await folder(), "disk");
  const block = await createFileBlock({ path, sectors: 256 });
  const reopen = async () => {
    await block.close();
    return await createFileBlock({ path });
  };
  return { block, reopen };
});
holds("file block, read-only", readOnlyBlockSuite, async () => {
  const path = join(await folder(), "disk");
  await writeFile(path, new Uint8Array(256 * 512).fill(9));
  return { block: await createFileBlock({ path, readOnly: true }) };
});
