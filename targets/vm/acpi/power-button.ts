import type { Window } from "../window/window.ts";
import type { Firmware } from "./firmware.ts";

const powerButtonBit = 0x100;
const sciEnable = 1;
const eventPowerDown = 2;
/** How often the control register is read while ACPI is switched on; each takes some ten microseconds. */
const enableReads = 1000;

/**
 * Calls back at each press of the power button.
 *
 * @returns ends it
 * @throws WindowError when its interrupt cannot be had.
 */
export function watchPowerButton(window: Window, firmware: Firmware, callback: () => void): () => void {
  const { button } = firmware;
  if (button === undefined) return () => undefined;
  if (button.kind === "fixed") return watchFixedButton(window, firmware, callback);
  const interrupt = window.interrupt(button.interrupt, () => {
    // Reading takes the events away.
    if ((window.memory.read(button.register, 4) & eventPowerDown) !== 0) callback();
  });
  interrupt.unref();
  return () => interrupt.close();
}

/** The button of the PM1 event registers (ACPI 6.5 §4.8.3.1). */
function watchFixedButton(window: Window, firmware: Firmware, callback: () => void): () => void {
  const { fixed } = firmware;
  if (fixed?.eventBlock === undefined || fixed.eventLength < 4) return () => undefined;
  const { space, address } = fixed.eventBlock;
  const access = space === "port" ? window.ports : window.memory;
  const enableRegister = address + fixed.eventLength / 2;
  if (fixed.commandPort !== 0 && fixed.enableValue !== 0 && fixed.controlBlock !== undefined) {
    const control = fixed.controlBlock;
    const controls = control.space === "port" ? window.ports : window.memory;
    const isOn = (): boolean => (controls.read(control.address, 2) & sciEnable) !== 0;
    if (!isOn()) window.ports.write(fixed.commandPort, 1, fixed.enableValue);
    for (let round = 0; round < enableReads && !isOn(); round++);
  }
  // Writing a bit of the status takes it away.
  access.write(address, 2, powerButtonBit);
  const interrupt = window.interrupt(firmware.routeLine(fixed.interrupt), () => {
    if ((access.read(address, 2) & powerButtonBit) === 0) return;
    access.write(address, 2, powerButtonBit);
    callback();
  });
  access.write(enableRegister, 2, access.read(enableRegister, 2) | powerButtonBit);
  interrupt.unref();
  return () => {
    access.write(enableRegister, 2, access.read(enableRegister, 2) & ~powerButtonBit);
    interrupt.close();
  };
}
