import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { addressBytes, option } from "./options.ts";
import { DhcpServer } from "./server.ts";
import { type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

const own = IpAddress.parse("10.0.0.1");

/** A byte of waiting, two of length, and a message. */
function chunk(wait: number, type: DhcpMessageType, requested?: string): Uint8Array {
  const bytes = new Uint8Array(600);
  const options = new Map<number, Uint8Array>();
  if (requested !== undefined) options.set(option.requestedAddress, addressBytes(IpAddress.parse(requested)));
  const length = emitDhcp(
    {
      ...{ operation: "request", type, transactionId: 1, seconds: 0, broadcast: false, options },
      ...{ clientIp: IpAddress.any4, yourIp: IpAddress.any4, clientMac: new MacAddress(0x0200, 1) },
    },
    bytes,
  );
  return Uint8Array.from([wait, length >>> 8, length & 255, ...bytes.subarray(0, length)]);
}

/** Clients that say anything. The table stays within the pool, nobody has another's lease, and each answer is sound. */
export const fuzz: FuzzTarget = {
  name: "dhcp-server",
  seeds: [
    chunk(1, "discover"),
    Uint8Array.from([...chunk(1, "discover", "10.0.0.11"), ...chunk(1, "request", "10.0.0.11")]),
    Uint8Array.from([...chunk(1, "request", "10.0.0.11"), ...chunk(200, "decline", "10.0.0.11")]),
    chunk(0, "inform"),
  ],
  run(input) {
    const clock = new VirtualClock();
    const checks: IpAddress[] = [];
    const server = new DhcpServer({
      address: own,
      clock,
      pools: [
        {
          network: Prefix.parse("10.0.0.0/24"),
          first: IpAddress.parse("10.0.0.10"),
          last: IpAddress.parse("10.0.0.13"),
          fixed: [{ mac: new MacAddress(0x0200, 1), address: IpAddress.parse("10.0.0.20") }],
          router: own,
        },
      ],
      actions: {
        send: (bytes, length, { address }) => {
          const parsed = parseDhcp(bytes, 0, length);
          if (!parsed.ok) throw new Error(`an answer that is none: ${parsed.error.message}`);
          if (address.isUnspecified) throw new Error("an answer to nobody");
          const { type, yourIp } = parsed.value;
          if (
            (type === "offer" || (type === "ack" && !yourIp.isUnspecified)) &&
            server.leases.get(yourIp.w3) === undefined
          ) {
            throw new Error(`${yourIp.toString()} was given and is not known`);
          }
        },
        check: (address) => checks.push(address),
        store: () => undefined,
      },
    });
    for (let at = 0; at + 3 <= input.length;) {
      const wait = input[at] ?? 0;
      const length = ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
      clock.advanceTo(clock.now() + wait * wait * 20);
      const checked = checks.shift();
      if (checked !== undefined) server.checked(checked, (wait & 3) === 3);
      server.receive(input, at + 3, Math.min(length, input.length - at - 3));
      at += 3 + length;
      if (server.leases.size > 6) throw new Error(`${server.leases.size} leases`);
      const clients = Array.from(server.leases.entries(), ({ client }) => client).filter((client) => client !== "");
      if (new Set(clients).size !== clients.length) throw new Error("a client with two addresses");
    }
  },
};
