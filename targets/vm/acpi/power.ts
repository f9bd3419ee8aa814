import type { PowerWrite, Window } from "../window/window.ts";
import type { Firmware } from "./firmware.ts";

const sleepEnable = 1 << 13;
const sciEnable = 1;
const reducedSleepEnable = 0x20;

/** One way to end the machine. */
export interface PowerMethod {
  readonly action: "off" | "reset";
  readonly how: PowerWrite;
}

/** How firmware says that the machine is turned off (ACPI 6.5 §7.4.2, §4.8.3.7) and reset (§4.8.3.6). */
export function powerWrites(window: Window, { fixed, softOff }: Firmware): readonly PowerMethod[] {
  const methods: PowerMethod[] = [];
  if (fixed === undefined) return methods;
  if (softOff !== undefined) {
    if (fixed.reducedHardware) {
      if (fixed.sleepControl !== undefined) {
        const value = (softOff << 2) | reducedSleepEnable;
        methods.push({ action: "off", how: { ...fixed.sleepControl, width: 1, value } });
      }
    } else if (fixed.controlBlock !== undefined) {
      const { space, address } = fixed.controlBlock;
      // ACPI stays on, else its own registers go.
      const kept = (space === "port" ? window.ports : window.memory).read(address, 2) & sciEnable;
      const value = kept | (softOff << 10) | sleepEnable;
      methods.push({ action: "off", how: { space, address, width: 2, value } });
    }
  }
  if (fixed.reset !== undefined) {
    const { register, value } = fixed.reset;
    methods.push({ action: "reset", how: { ...register, width: 1, value } });
  }
  return methods;
}
