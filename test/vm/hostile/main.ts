// Runs inside a machine: a driver for every network card and every disk, and a line on the console for what becomes of
// each. What is typed tells it what to do; see ../hostile-device.test.ts.
import process from "node:process";
import { createInterface } from "node:readline";
import type { Block } from "@tesserae/device/block";
import type { Netif } from "@tesserae/device/netif";
import { discover } from "@tesserae/vm/machine";
import { createVirtioBlock } from "@tesserae/vm/virtio/block";
import { createVirtioNet } from "@tesserae/vm/virtio/net";
import { deviceType } from "@tesserae/vm/virtio/transport";
import type { VirtioError } from "@tesserae/vm/virtio/virtio-error";
import { openWindow } from "@tesserae/vm/window/window";

const machine = discover(openWindow());
const cards: Netif[] = [];
const disks: Block[] = [];

function died(name: string): (error: VirtioError) => void {
  return (error) => console.log(`dead ${name}: ${error.kind}: ${error.message}`);
}

for (const device of machine.devices) {
  if (device.type === deviceType.net) {
    const index = cards.length;
    const card = await createVirtioNet({ device, name: `eth${String(index)}`, onDead: died(`card${String(index)}`) });
    card.listen((_page, _offset, length) => console.log(`heard card${String(index)}: ${String(length)}`));
    cards.push(card);
  } else if (device.type === deviceType.block) {
    disks.push(await createVirtioBlock({ device, onDead: died(`disk${String(disks.length)}`) }));
  }
}

/** Broadcasts frames of 60 bytes. Returns how many the card took. */
function send(card: Netif, count: number): number {
  let sent = 0;
  for (; sent < count; sent++) {
    const page = card.allocate();
    if (page === undefined) break;
    const at = page.bytes.length - 60;
    page.bytes.fill(0xff, at, at + 6);
    card.mac.write(page.bytes, at + 6);
    page.bytes.fill(0x88, at + 12, at + 60);
    if (!card.transmit(page, at, 60)) break;
  }
  return sent;
}

async function obey(verb: string, index: number, count: number): Promise<string> {
  switch (verb) {
    case "send": {
      const card = cards[index];
      return card === undefined ? "no such card" : String(send(card, count));
    }
    case "read": {
      const disk = disks[index];
      if (disk === undefined) return "no such disk";
      const into = new Uint8Array(disk.sectorSize * count);
      return disk.read(0, into).then(
        () => `read ${String(into[0])}`,
        (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : "failed"),
      );
    }
    case "end":
      await Promise.allSettled([...cards, ...disks].map((device) => device.close()));
      process.exit(0);
  }
  return "what?";
}

console.log(`driving ${String(cards.length)} cards and ${String(disks.length)} disks`);
for await (const line of createInterface({ input: process.stdin })) {
  const [verb = "", index = "0", count = "1"] = line.trim().split(" ");
  // Not waited for: an answer may depend on what is done to the device meanwhile.
  void obey(verb, Number(index), Number(count)).then((answer) => console.log(`${line.trim()}: ${answer}`));
}
