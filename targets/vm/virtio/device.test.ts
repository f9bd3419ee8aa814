import { describe, expect, test } from "vitest";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedDevice, SimulatedMmio, type SimulatedDeviceOptions } from "../simulation/simulated-device.ts";
import { VirtioDevice } from "./device.ts";
import { featureBits } from "./features.ts";
import { findMmioDevice } from "./transport-mmio.ts";
import { deviceType } from "./transport.ts";

const address = 0xd000_0000;

function setup(options: Partial<SimulatedDeviceOptions> = {}, make = SimulatedDevice) {
  const window = new MemoryWindow();
  const device = new make({ window, type: deviceType.entropy, queues: [8], ...options });
  const registers = new SimulatedMmio(device, 5);
  window.addMemory(address, 512, registers);
  const find = () => findMmioDevice(window, { address, length: 512, interrupt: { line: 5 } });
  const errors: string[] = [];
  const drive = (wanted: readonly number[] = []) =>
    new VirtioDevice({
      transport: find()!,
      type: deviceType.entropy,
      name: "virtio-entropy",
      wanted,
      onDead: (error) => errors.push(error.message),
    });
  return { window, device, registers, find, drive, errors };
}

describe("VirtioDevice (virtio 1.2 §3.1.1)", () => {
  test("goes through the states in order and takes the features that both have", () => {
    const { device, drive } = setup({ features: [3, 7] });
    const states: number[] = [];
    const inner = device.setStatus.bind(device);
    device.setStatus = (value) => {
      states.push(value);
      inner(value);
    };
    const driver = drive([7, 9]);
    const queue = driver.queue(0, 64);
    driver.start();
    expect(states).toEqual([0, 1, 3, 11, 15]);
    expect([driver.has(3), driver.has(7), driver.has(9), driver.has(32), queue.size]).toEqual([
      false,
      true,
      false,
      true,
      8,
    ]);
    driver.close();
    expect(device.deviceStatus).toBe(0);
  });

  test("a device from before virtio 1.0 is refused and marked as failed", () => {
    const { device, drive } = setup();
    device.offered = featureBits([29]);
    expect(drive).toThrow(
      "virtio-entropy mmio@0xd0000000: the device is older than virtio 1.0: VIRTIO_F_VERSION_1 is missing",
    );
    expect(device.deviceStatus & 128).toBe(128);
  });

  test("a device that refuses the features is named with what it may insist on", () => {
    const { device, drive } = setup();
    device.offered = featureBits([32, 33]);
    device.acceptsFeatures = () => false;
    expect(drive).toThrow("refuses features 32; it may insist on VIRTIO_F_ACCESS_PLATFORM");
    expect(device.deviceStatus & 128).toBe(128);
  });

  test("a device that does not come out of reset is not waited for", () => {
    const { device, drive } = setup();
    device.deviceStatus = 15;
    device.setStatus = () => undefined;
    expect(drive).toThrow("the device does not come out of reset");
  });

  test("a queue that is missing, or not taken, is named", () => {
    expect(() => setup().drive().queue(3, 8)).toThrow("queue 3 has size 0");
    const { device, drive } = setup();
    const driver = drive();
    device.queues[0]!.isReady = true;
    expect(() => driver.queue(0, 8)).toThrow("the device does not take queue 0 of 8");
  });

  test("a queue of a size that is no power of two gets fewer descriptors", () => {
    const { device, drive } = setup({ queues: [100] });
    expect(drive().queue(0, 256).size).toBe(64);
    expect(device.queues[0]!.size).toBe(64);
  });

  test("another kind of device is refused", () => {
    expect(setup({ type: deviceType.block }).drive).toThrow("mmio@0xd0000000 is virtio-block and no virtio-entropy");
    expect(setup({ type: 99 }).drive).toThrow("is a virtio device of type 99 and");
  });

  test("it ends once", () => {
    const { drive, errors, device } = setup();
    const driver = drive();
    driver.connect(() => undefined);
    driver.queue(0, 8);
    driver.start();
    driver.brokeRules("first");
    driver.brokeRules("second");
    expect(errors).toEqual(["virtio-entropy mmio@0xd0000000: the device broke the rules: first"]);
    expect([driver.isRunning, device.deviceStatus & 128]).toEqual([false, 128]);
  });
});

describe("findMmioDevice", () => {
  test("an empty slot is no device", () => {
    expect(setup({ type: 0 }).find()).toBeUndefined();
  });

  test("a legacy device is refused with advice", () => {
    const { registers, find } = setup();
    registers.version = 1;
    expect(find).toThrow("version 1 is not 2 (legacy; QEMU needs -global virtio-mmio.force-legacy=false)");
  });

  test("other registers are refused", () => {
    const window = new MemoryWindow();
    window.addMemory(address, 512, { read: () => 0xffffffff, write: () => undefined });
    const place = { address, length: 512, interrupt: { line: 5 } };
    expect(() => findMmioDevice(window, place)).toThrow("mmio@0xd0000000: there is no virtio-mmio device");
    expect(() => findMmioDevice(window, { ...place, length: 16 })).toThrow("16 bytes are too few");
  });
});
