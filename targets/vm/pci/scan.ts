import type { ConfigurationAccess, PciAddress } from "./configuration.ts";
import { PciFunction } from "./function.ts";

const register = { vendor: 0, headerType: 0x0e, secondaryBus: 0x19 };
const multifunction = 0x80;
const headerDevice = 0;
const headerBridge = 1;
/** Functions looked at, at most: machines have some ten. */
const mostFunctions = 1024;

/**
 * Finds the functions behind the host bridge and the bridges below it, as firmware has numbered them.
 *
 * Ends on any answers: each bus is visited once, and no more than 1,024 functions are.
 */
export function scanPci(access: ConfigurationAccess): readonly PciFunction[] {
  const found: PciFunction[] = [];
  const visited = new Set<number>();
  const buses = [0];
  let looked = 0;
  for (let bus = buses.shift(); bus !== undefined; bus = buses.shift()) {
    if (visited.has(bus)) continue;
    visited.add(bus);
    for (let device = 0; device < 32; device++) {
      let functions = 1;
      for (let number = 0; number < functions; number++) {
        const address: PciAddress = { bus, device, function: number };
        const vendor = access.read(address, register.vendor, 2);
        if (vendor === 0xffff || vendor === 0) continue;
        if (++looked > mostFunctions) return found;
        const header = access.read(address, register.headerType, 1);
        if (number === 0 && (header & multifunction) !== 0) functions = 8;
        if ((header & 0x7f) === headerDevice) found.push(new PciFunction(access, address));
        else if ((header & 0x7f) === headerBridge) {
          const secondary = access.read(address, register.secondaryBus, 1);
          // Firmware numbers downwards; one that did not number leaves 0.
          if (secondary > bus) buses.push(secondary);
        }
      }
    }
  }
  return found;
}
