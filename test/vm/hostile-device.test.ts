import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildImage } from "@tesserae/vm-image/build-image";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryArguments } from "./guest-memory.ts";
import { asDevice, findPlace, type HostileDevice, type HostilePlace } from "./hostile-back-end.ts";
import { buildForVm, patience, TestMachine, vmUnavailable, type BuiltMachine } from "./test-machine.ts";

// Back ends that break the rules of virtio while the drivers run, in one machine with a device for each way to do so:
// hostile/main.ts drives them. Each ends with its device in one line that names it and the rule, and nothing else does.

const reason = vmUnavailable();
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-hostile-"));
const cache = path.resolve(import.meta.dirname, "../../node_modules/.cache/tesserae-hostile");
const stub = path.join(folder, "gdb.sock");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const receive = 0;
const transmit = 1;
const interruptOfConfiguration = 0;
const interruptOfQueues = 1;
const needsReset = 0x40;
/** Of a received frame's header: how many buffers it is in. */
const bufferCount = 10;

/** The head that the driver offered first of those that are not used. */
async function nextHead(device: HostileDevice, queue: number): Promise<number> {
  const side = device.queue(queue);
  return side.head(await side.usedIndex());
}

/** Uses the next buffer, with a header that says that the frame is in so many. */
async function useInSo(device: HostileDevice, buffers: number): Promise<void> {
  const head = await nextHead(device, receive);
  const { address } = await device.queue(receive).descriptor(head);
  await device.memory.write(address, new Uint8Array(bufferCount));
  await device.memory.write16(address + bufferCount, buffers);
  await device.queue(receive).use([[head, 72]]);
}

const cards: readonly {
  readonly how: string;
  readonly says: RegExp;
  readonly act: (device: HostileDevice) => Promise<void>;
}[] = [
  {
    how: "a used id beyond the queue",
    says: /rules: .*: used id 256 of a queue of 256$/,
    act: (device) => device.queue(receive).use([[256, 60]]),
  },
  {
    how: "a used id beyond all queues",
    says: /rules: .*: used id 4294967295 of a queue of 256$/,
    act: (device) => device.queue(receive).use([[0xffff_ffff, 60]]),
  },
  {
    how: "more bytes than the buffer has",
    says: /rules: .*: used length 2049 of a buffer of 2048$/,
    act: async (device) => device.queue(receive).use([[await nextHead(device, receive), 2049]]),
  },
  {
    how: "as many bytes as a number can say",
    says: /rules: .*: used length 4294967295 of a buffer of 2048$/,
    act: async (device) => device.queue(receive).use([[await nextHead(device, receive), 0xffff_ffff]]),
  },
  {
    how: "a used index further ahead than the queue is long",
    says: /rules: .*: used index 300, 300 ahead, with 256 in flight$/,
    act: async (device) => device.queue(receive).setUsedIndex((await device.queue(receive).usedIndex()) + 300),
  },
  {
    how: "a used index that goes back",
    says: /rules: .*: used index 65535, 65535 ahead, with 256 in flight$/,
    act: async (device) => device.queue(receive).setUsedIndex((await device.queue(receive).usedIndex()) - 1),
  },
  {
    how: "garbage in the whole used ring",
    says: /rules: .*: used id \d+ of a queue of 256$/,
    act: async (device) => {
      const { used, usedLength } = device.queue(receive);
      const garbage = Uint8Array.from({ length: usedLength }, (_, at) => (at * 2_654_435_761) >>> 13);
      await device.memory.write(used + 4, garbage);
      await device.queue(receive).setUsedIndex((await device.queue(receive).usedIndex()) + 7);
    },
  },
  {
    how: "a frame in more buffers than there are",
    says: /rules: .*: a frame in 65535 buffers$/,
    act: (device) => useInSo(device, 65_535),
  },
  {
    how: "a frame in no buffer",
    says: /rules: .*: a frame in 0 buffers$/,
    act: (device) => useInSo(device, 0),
  },
  {
    how: "a frame whose second buffer is missing",
    says: /rules: .*: a frame in 2 buffers, used 1$/,
    act: (device) => useInSo(device, 2),
  },
  {
    how: "a status that asks for a reset",
    says: /reset: .*: the device asks to be reset: it is given up$/,
    act: async (device) => {
      await device.setStatus((await device.status()) | needsReset);
      await device.raise(interruptOfConfiguration);
    },
  },
];

/** Cards that take frames to send and give them back wrongly. */
const senders: typeof cards = [
  {
    how: "a sent frame given back twice",
    says: /rules: .*: used id \d+ is not in flight$/,
    act: async (device) => {
      const head = await nextHead(device, transmit);
      await device.queue(transmit).use([
        [head, 0],
        [head, 0],
      ]);
    },
  },
  {
    how: "a frame given back that was never sent",
    says: /rules: .*: used id 65535 of a queue of 256$/,
    act: (device) => device.queue(transmit).use([[0xffff, 0]]),
  },
  {
    how: "bytes written into a frame to send",
    says: /rules: .*: used length 14 of a buffer of 0$/,
    act: async (device) => device.queue(transmit).use([[await nextHead(device, transmit), 14]]),
  },
];

const disks: typeof cards = [
  {
    how: "an id that is not in flight",
    says: /rules: .*: used id 3 is not in flight$/,
    act: (device) => device.queue(0).use([[3, 1]]),
  },
  {
    how: "an id inside of a chain",
    says: /rules: .*: used id 1 is not in flight$/,
    act: (device) => device.queue(0).use([[1, 1]]),
  },
  {
    how: "an id beyond the queue",
    says: /rules: .*: used id 128 of a queue of 128$/,
    act: (device) => device.queue(0).use([[128, 1]]),
  },
  {
    how: "one request done twice",
    says: /rules: .*: used index \d+, 2 ahead, with 1 in flight$/,
    act: async (device) => {
      const head = await nextHead(device, 0);
      await device.queue(0).use([
        [head, 513],
        [head, 513],
      ]);
    },
  },
  {
    how: "more bytes than were asked for",
    says: /rules: .*: used length 514 of a buffer of 513$/,
    act: async (device) => device.queue(0).use([[await nextHead(device, 0), 514]]),
  },
  {
    how: "a status that does not exist",
    says: /rules: .*: status 85 of a read$/,
    act: async (device) => {
      const head = await nextHead(device, 0);
      const data = await device.queue(0).descriptor(head);
      const status = await device.queue(0).descriptor((await device.queue(0).descriptor(data.next)).next);
      await device.memory.write(status.address, Uint8Array.of(85));
      await device.queue(0).use([[head, 513]]);
    },
  },
];

const harmless = cards.length + senders.length;
/** Behind those that do wrong: one that does odd things, and two on one wire that nothing happens to. */
const cardCount = harmless + 3;

function devices(): readonly string[] {
  const more = "disable-legacy=on,romfile=";
  const nets = Array.from({ length: cardCount }, (_, index) => {
    const hub = Math.min(index, cardCount - 2);
    return [
      ...["-netdev", `hubport,hubid=${String(hub)},id=net${String(index)}`],
      ...["-device", `virtio-net-pci,id=card${String(index)},netdev=net${String(index)},${more}`],
    ];
  });
  const blocks = disks.map((_, index) => {
    const file = path.join(folder, `disk${String(index)}`);
    writeFileSync(file, "");
    truncateSync(file, 2 ** 20);
    return [
      ...["-drive", `if=none,id=drive${String(index)},format=raw,file=${file}`],
      ...["-device", `virtio-blk-pci,id=disk${String(index)},drive=drive${String(index)},${more}`],
    ];
  });
  return [...nets.flat(), ...blocks.flat(), ...memoryArguments(stub)];
}

async function buildDrivers(): Promise<BuiltMachine> {
  const bundle = path.join(folder, "main.mjs");
  mkdirSync(cache, { recursive: true });
  await build({
    entryPoints: [path.join(import.meta.dirname, "hostile/main.ts")],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["tesserae-source"],
    logLevel: "silent",
  });
  const { image, kernel, manifest } = await buildImage({ bundle, output: path.join(folder, "image"), cache });
  const files = { kernel: kernel.file, image: image.file, manifest, bytes: image.size, sizes: [], formats: {} };
  return { name: "hostile", files };
}

/** All lines that tell of the end of a device. */
function deaths(machine: TestMachine, id: string): readonly string[] {
  return machine.output.split("\n").filter((line) => line.startsWith(`dead ${id}: `));
}

const title = `a device that breaks the rules${reason === undefined ? "" : ` (${reason})`}`;
describe.skipIf(reason !== undefined)(title, () => {
  let machine: TestMachine;
  const places = new Map<string, HostilePlace>();
  const place = async (id: string, queues: number): Promise<HostilePlace> => {
    const found = places.get(id) ?? (await findPlace(machine.machine, id, queues));
    places.set(id, found);
    return found;
  };

  beforeAll(async () => {
    machine = await TestMachine.start(await buildDrivers(), { networks: [], more: devices() });
    await machine.waitFor(`driving ${String(cardCount)} cards and ${String(disks.length)} disks`);
  }, patience);
  afterAll(() => machine?.kill());

  /** Waits for the end of a device, which is told once. */
  async function expectDeath(id: string, says: RegExp): Promise<void> {
    await machine.waitFor(new RegExp(`^dead ${id}: .*\n`, "m"));
    const [line, ...others] = deaths(machine, id);
    expect(line).toMatch(says);
    expect(line).toMatch(/: virtio-(net|block) 00:[0-9a-f]{2}\.0: /);
    expect(others).toEqual([]);
  }

  test.each(cards.map((each, index) => ({ ...each, id: `card${String(index)}` })))(
    "receiving: $how",
    async ({ id, says, act }) => {
      await asDevice(stub, await place(id, 2), async (device) => {
        await act(device);
        await device.raise(interruptOfQueues);
      });
      await expectDeath(id, says);
    },
    patience,
  );

  test.each(senders.map((each, index) => ({ ...each, index: cards.length + index })))(
    "sending: $how",
    async ({ index, says, act }) => {
      const id = `card${String(index)}`;
      const where = await place(id, 2);
      await asDevice(stub, where, (device) => device.setStatus(0));
      machine.write(`send ${String(index)} 300\n`);
      // There are pages for 256, and none comes back: the card is looked at for them.
      await machine.waitFor(`send ${String(index)} 300: 256`);
      await asDevice(stub, where, act);
      machine.write(`send ${String(index)} 1\n`);
      await expectDeath(id, says);
    },
    patience,
  );

  test.each(disks.map((each, index) => ({ ...each, index })))(
    "a disk: $how",
    async ({ index, says, act }) => {
      const id = `disk${String(index)}`;
      const where = await place(id, 1);
      await asDevice(stub, where, (device) => device.setStatus(0));
      machine.write(`read ${String(index)} 1\n`);
      await untilOffered(where);
      await asDevice(stub, where, async (device) => {
        await act(device);
        await device.raise(interruptOfQueues);
      });
      await expectDeath(id, says);
      // Whoever waits for the disk is told, and so is whoever asks now.
      await machine.waitFor(new RegExp(`^read ${String(index)} 1: BlockError: .*virtio-block 00:.*broke the rules`, "m"));
      machine.write(`read ${String(index)} 2\n`);
      await machine.waitFor(new RegExp(`^read ${String(index)} 2: BlockError: .*broke the rules`, "m"));
    },
    patience,
  );

  /** Waits until a request is in the queue. */
  async function untilOffered(where: HostilePlace): Promise<void> {
    for (;;) {
      const waiting = await asDevice(stub, where, async (device) => {
        const queue = device.queue(0);
        return (await queue.offered()) !== (await queue.usedIndex());
      });
      if (waiting) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  test(
    "odd things that are no offence: interrupts for nothing, a frame of no length, a header full of ones",
    async () => {
      const id = `card${String(harmless)}`;
      const where = await place(id, 2);
      for (let round = 0; round < 20; round++) {
        await asDevice(stub, where, async (device) => {
          await device.raise(interruptOfQueues);
          await device.raise(interruptOfConfiguration);
        });
      }
      await asDevice(stub, where, async (device) => {
        const queue = device.queue(receive);
        const first = await queue.usedIndex();
        const [empty, full] = [await queue.head(first), await queue.head(first + 1)];
        const { address } = await queue.descriptor(full);
        await device.memory.write(address, new Uint8Array(bufferCount).fill(0xff));
        await device.memory.write16(address + bufferCount, 1);
        await queue.use([
          [empty, 0],
          [full, 72],
        ]);
        await device.raise(interruptOfQueues);
      });
      machine.write(`send ${String(harmless)} 1\n`);
      await machine.waitFor(`send ${String(harmless)} 1: 1`);
      expect(deaths(machine, id)).toEqual([]);
    },
    patience,
  );

  test(
    "leaves the others alone, and the program and the kernel",
    async () => {
      const [from, to] = [cardCount - 2, cardCount - 1];
      machine.write(`send ${String(from)} 1\n`);
      await machine.waitFor(`heard card${String(to)}: 60`);
      machine.write("end\n");
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output).not.toMatch(/panic|oops|violation/i);
      const died = machine.output.split("\n").filter((line) => line.startsWith("dead "));
      expect(died).toHaveLength(harmless + disks.length);
    },
    patience,
  );
});

describe.skipIf(reason !== undefined)("an image whose network card breaks the rules", () => {
  let machine: TestMachine | undefined;
  afterAll(() => machine?.kill());

  test(
    "says so in one line and ends with status 1, with its connections",
    async () => {
      const socket = path.join(folder, "www.sock");
      machine = await TestMachine.start(await buildForVm("examples/www"), {
        commandLine: "port=80 ipv4=10.0.2.15/24 gateway=10.0.2.2",
        networks: [],
        more: [
          ...["-netdev", "user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:0-:80", ...memoryArguments(socket)],
          ...["-device", "virtio-net-pci,id=card,netdev=net0,disable-legacy=on,romfile="],
        ],
      });
      await machine.waitFor("serving");
      const where = await findPlace(machine.machine, "card", 2);
      await asDevice(socket, where, async (device) => {
        await device.queue(receive).use([[256, 60]]);
        await device.raise(interruptOfQueues);
      });
      expect(await machine.exited, machine.output).toBe(1);
      const lines = machine.output.slice(machine.output.indexOf("serving")).split("\n").slice(1);
      expect(lines.join("\n")).toMatch(
        /^www: virtio-net 00:\w\w\.0: the device broke the rules: used id 256 of a queue of 256\n\[kernel\] exit 1\n$/,
      );
    },
    patience,
  );
});
