import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GuestMemory, memoryArguments } from "./guest-memory.ts";
import { findDevice, type HostileDevice } from "./hostile-back-end.ts";
import { buildForVm, patience, TestMachine, vmUnavailable } from "./test-machine.ts";
import { buildModule } from "./module-machine.ts";

// Back ends that break the rules of virtio while the drivers run, in one machine with a device for each way to do so:
// hostile/main.ts drives them. Each ends with its device in one line that names it and the rule, and nothing else does.

const reason = vmUnavailable();
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-hostile-"));
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
    says: /rules: .*: used index \d+, 300 ahead, with 256 in flight$/,
    act: async (device) => device.queue(receive).setUsedIndex((await device.queue(receive).usedIndex()) + 300),
  },
  {
    how: "a used index that goes back",
    says: /rules: .*: used index \d+, 65535 ahead, with 256 in flight$/,
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

/** Two cards on one wire, and a disk; what happens, happens to the first card and to the disk. */
function devices(): readonly string[] {
  const more = "disable-legacy=on,romfile=";
  const disk = path.join(folder, "disk");
  writeFileSync(disk, "disk");
  truncateSync(disk, 2 ** 20);
  return [
    ...["-netdev", "hubport,hubid=0,id=near", "-device", `virtio-net-pci,id=card0,netdev=near,${more}`],
    ...["-netdev", "hubport,hubid=0,id=far", "-device", `virtio-net-pci,id=card1,netdev=far,${more}`],
    ...["-drive", `if=none,id=drive,format=raw,file=${disk}`],
    ...["-device", `virtio-blk-pci,id=disk0,drive=drive,${more}`],
    ...memoryArguments(path.join(folder, "gdb.sock")),
  ];
}

const title = `a device that breaks the rules${reason === undefined ? "" : ` (${reason})`}`;
describe.skipIf(reason !== undefined)(title, () => {
  let machine: TestMachine;
  let memory: GuestMemory;
  let asked = 0;

  beforeAll(async () => {
    machine = await TestMachine.start(await buildModule("hostile", "hostile/main.ts", folder), {
      networks: [],
      more: devices(),
    });
    ends.push(() => machine.kill());
    await machine.waitFor("obeying");
    memory = await GuestMemory.open(path.join(folder, "gdb.sock"));
    ends.push(() => memory.close());
    memory.resume();
  }, patience);
  const ends: (() => unknown)[] = [];
  afterAll(async () => {
    for (const end of ends) await end();
  });

  const find = (id: string): Promise<HostileDevice> => findDevice(machine.machine, memory, id);

  /** Tells the program to do something; gives a way to wait for its answer. */
  function tell(command: string): () => Promise<string> {
    const tag = `#${String(++asked)}`;
    machine.write(`${command} ${tag}\n`);
    const answer = new RegExp(`^${tag} \\w+: (.*)\n`, "m");
    return async () => {
      await machine.waitFor(answer);
      return answer.exec(machine.output)?.[1] ?? "";
    };
  }

  const ask = (command: string): Promise<string> => tell(command)();

  /** Waits for the end of a device, which is told once, in the output from `since` on. */
  async function expectDeath(id: string, since: number, says: RegExp): Promise<void> {
    await machine.waitFor(`\ndead ${id}: `, since);
    await ask("what 0 0");
    const lines = machine.output.slice(since).split("\n");
    const dead = lines.filter((line) => line.startsWith("dead "));
    expect(dead).toHaveLength(1);
    expect(dead[0]).toMatch(new RegExp(`^dead ${id}: \\w+: virtio-(net|block) 00:[0-9a-f]{2}\\.0: `));
    expect(dead[0]).toMatch(says);
  }

  /** Starts both cards anew, and sends a frame from one to the other: nothing is left of what was before. */
  async function startCards(): Promise<void> {
    expect(await ask("card 0 1")).toBe("up");
    expect(await ask("card 1 1")).toBe("up");
    const since = machine.output.length;
    expect(await ask("send 1 1")).toBe("1");
    await machine.waitFor("card0 has heard 1\n", since);
  }

  test.each(cards)(
    "receiving: $how",
    async ({ says, how, act: offend }) => {
      await startCards();
      const since = machine.output.length - 1;
      const device = await find("card0");
      await memory.whileStopped(async () => {
        await offend(device);
        await device.raise(interruptOfQueues);
      });
      await expectDeath("card0", since, says);
      expect(await ask("send 0 1"), how).toBe("0");
    },
    patience,
  );

  test.each(senders)(
    "sending: $how",
    async ({ says, act: offend }) => {
      await startCards();
      const since = machine.output.length - 1;
      const device = await find("card0");
      // QEMU's device goes to sleep, and does nothing with the frames.
      await memory.whileStopped(() => device.setStatus(0));
      // There are pages for 256, and none comes back: with the next one the driver looks for them.
      expect(await ask("send 0 300")).toBe("256");
      await memory.whileStopped(() => offend(device));
      expect(await ask("send 0 1")).toBe("0");
      await expectDeath("card0", since, says);
    },
    patience,
  );

  test.each(disks)(
    "a disk: $how",
    async ({ says, act: offend }) => {
      expect(await ask("disk 0 1")).toBe("up");
      expect(await ask("read 0 1")).toBe('"disk"');
      const since = machine.output.length - 1;
      const device = await find("disk0");
      await memory.whileStopped(() => device.setStatus(0));
      const answer = tell("read 0 1");
      const queue = device.queue(0);
      const isAsked = async (): Promise<boolean> => (await queue.offered()) !== (await queue.usedIndex());
      while (!(await memory.whileStopped(isAsked)));
      await memory.whileStopped(async () => {
        await offend(device);
        await device.raise(interruptOfQueues);
      });
      await expectDeath("disk0", since, says);
      // Whoever waits for the disk is told, and so is whoever asks now.
      expect(await answer()).toMatch(/^BlockError: virtio-block 00:.*: the device broke the rules/);
      expect(await ask("read 0 2")).toMatch(/^BlockError: virtio-block 00:.*: the device broke the rules/);
    },
    patience,
  );

  test(
    "odd things that are no offence: interrupts for nothing, a frame of no length, a header full of ones",
    async () => {
      await startCards();
      const since = machine.output.length;
      const device = await find("card0");
      for (let round = 0; round < 20; round++) {
        await memory.whileStopped(async () => {
          await device.raise(interruptOfQueues);
          await device.raise(interruptOfConfiguration);
        });
      }
      await memory.whileStopped(async () => {
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
      expect(await ask("send 0 1")).toBe("1");
      await machine.waitFor("card1 has heard", since);
      expect(machine.output.slice(since)).not.toContain("dead");
    },
    patience,
  );

  test(
    "leaves the program and the kernel as they were",
    async () => {
      await startCards();
      machine.write("end\n");
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output).not.toMatch(/panic|unhandled/i);
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
      const memory = await GuestMemory.open(socket);
      memory.resume();
      const device = await findDevice(machine.machine, memory, "card");
      await memory.whileStopped(async () => {
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
