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
const ofType = (type: number) => machine.devices.filter((device) => device.type === type);
const cards: Netif[] = [];
const disks: Block[] = [];

function died(name: string): (error: VirtioError) => void {
  return (error) => console.log(`dead ${name}: ${error.kind}: ${error.message}`);
}

/** Starts a card, for the first time or after its end. */
async function startCard(index: number): Promise<string> {
  const device = ofType(deviceType.net)[index];
  if (device === undefined) return "no such card";
  await cards[index]?.close();
  const card = await createVirtioNet({ device, name: `eth${String(index)}`, onDead: died(`card${String(index)}`) });
  let frames = 0;
  card.listen(() => console.log(`card${String(index)} has heard ${String(++frames)}`));
  cards[index] = card;
  return "up";
}

async function startDisk(index: number): Promise<string> {
  const device = ofType(deviceType.block)[index];
  if (device === undefined) return "no such disk";
  await disks[index]?.close();
  disks[index] = await createVirtioBlock({ device, onDead: died(`disk${String(index)}`) });
  return "up";
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

async function read(disk: Block, count: number): Promise<string> {
  const into = new Uint8Array(disk.sectorSize * count);
  try {
    await disk.read(0, into);
    return `"${new TextDecoder().decode(into.subarray(0, 4))}"`;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : "failed";
  }
}

async function obey(verb: string, index: number, count: number): Promise<string> {
  const [card, disk] = [cards[index], disks[index]];
  switch (verb) {
    case "card":
      return startCard(index);
    case "disk":
      return startDisk(index);
    case "send":
      return card === undefined ? "no such card" : String(send(card, count));
    case "read":
      return disk === undefined ? "no such disk" : read(disk, count);
    case "end":
      await Promise.allSettled([...cards, ...disks].map((device) => device.close()));
      process.exit(0);
  }
  return "what?";
}

console.log("obeying");
for await (const line of createInterface({ input: process.stdin })) {
  const [verb = "", index = "0", count = "1", tag = ""] = line.trim().split(" ");
  // Not waited for: an answer may depend on what is done to the device meanwhile.
  void obey(verb, Number(index), Number(count)).then((answer) => console.log(`${tag} ${verb}: ${answer}`));
}
