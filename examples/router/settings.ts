import { IpAddress, MacAddress } from "@tesserae/device/address";
import type { FixedLease } from "@tesserae/tcpip/dhcp/pool";
import type { PortForward } from "@tesserae/tcpip/nat/nat";

/** The parts of a list with commas between them. */
function parts(text: string): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** `9.9.9.9, 1.1.1.1`. @throws RangeError */
export function parseAddresses(text: string): readonly IpAddress[] {
  return parts(text).map((part) => IpAddress.parse(part));
}

/** `tcp/8080=192.168.77.100:80`. @throws RangeError */
export function parseForwards(text: string): readonly PortForward[] {
  return parts(text).map((part) => {
    const [, protocol, port, address, inside] = /^(tcp|udp)\/(\d+)=([\d.]+):(\d+)$/.exec(part) ?? [];
    if ((protocol !== "tcp" && protocol !== "udp") || address === undefined) {
      throw new RangeError(`forward: "${part}" is not as in tcp/8080=192.168.77.100:80`);
    }
    return { protocol, port: Number(port), to: { address: IpAddress.parse(address), port: Number(inside) } };
  });
}

/** `02:00:00:00:00:07=192.168.77.7`. @throws RangeError */
export function parseReservations(text: string): readonly FixedLease[] {
  return parts(text).map((part) => {
    const [mac, address, ...rest] = part.split("=");
    if (mac === undefined || address === undefined || rest.length > 0) {
      throw new RangeError(`reservations: "${part}" is not as in 02:00:00:00:00:07=192.168.77.7`);
    }
    return { mac: MacAddress.parse(mac), address: IpAddress.parse(address) };
  });
}
