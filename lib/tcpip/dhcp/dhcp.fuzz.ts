import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, MacAddress } from "@tesserae/device/address";
import { DhcpClient } from "./client.ts";
import { addressBytes, option } from "./options.ts";
import { type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

const mac = MacAddress.parse("02:00:00:00:00:01");
const server = IpAddress.parse("10.0.0.254");

/** A byte that says how long to wait and whether to repair the transaction id, two of length, and a message. */
function chunk(wait: number, message: Uint8Array): Uint8Array {
  return Uint8Array.from([wait, message.length >>> 8, message.length & 255, ...message]);
}

function answer(type: DhcpMessageType): Uint8Array {
  const bytes = new Uint8Array(600);
  const length = emitDhcp(
    {
      operation: "reply",
      type,
      transactionId: 0,
      seconds: 0,
      broadcast: false,
      clientIp: IpAddress.any4,
      yourIp: IpAddress.parse("10.0.0.50"),
      clientMac: mac,
      options: new Map([
        [option.serverIdentifier, addressBytes(server)],
        [option.leaseTime, Uint8Array.of(0, 0, 1, 0)],
        [option.subnetMask, Uint8Array.of(255, 255, 255, 0)],
        [option.router, addressBytes(server)],
        [option.classlessRoutes, Uint8Array.of(8, 10, 10, 0, 0, 1)],
      ]),
    },
    bytes,
  );
  return bytes.slice(0, length);
}

/** A server that answers with anything, at any time. The client must keep asking, but not faster than it may. */
export const fuzz: FuzzTarget = {
  name: "dhcp",
  seeds: [
    chunk(1, answer("offer")),
    Uint8Array.from([...chunk(1, answer("offer")), ...chunk(3, answer("ack")), ...chunk(255, answer("ack"))]),
    Uint8Array.from([...chunk(1, answer("offer")), ...chunk(1, answer("nak"))]),
  ],
  run(input) {
    let now = 0;
    let sent = 0;
    let transaction = 0;
    let answers = 0;
    const check = { wanted: false };
    const client = new DhcpClient({
      mac,
      random: new SeededRandom(1),
      actions: {
        send: (bytes, length) => {
          const parsed = parseDhcp(bytes, 0, length);
          if (!parsed.ok) throw new Error(`sent what cannot be parsed: ${parsed.error.message}`);
          transaction = parsed.value.transactionId;
          sent++;
        },
        check: () => {
          check.wanted = true;
        },
        bound: (lease) => {
          if (lease.renewAt > lease.rebindAt || lease.rebindAt > lease.expiresAt)
            throw new Error("T1, T2, end: no order");
          if (lease.address.length === 0 || lease.address.address.isUnspecified) throw new Error("bound to nothing");
        },
        lost: () => undefined,
      },
    });
    client.start(now);
    for (let at = 0; at + 3 <= input.length && answers < 64; answers++) {
      const wait = input[at] ?? 0;
      const length = ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
      const message = input.slice(at + 3, at + 3 + length);
      at += 3 + length;
      if (message.length < 8) continue;
      // An attacker on the link sees the number; without it all else would go untested.
      if ((wait & 1) !== 0) message.set([transaction >>> 24, transaction >>> 16, transaction >>> 8, transaction], 4);
      const end = now + wait * 500;
      while (client.deadline <= end) {
        now = Math.max(now, client.deadline);
        client.tick(now);
      }
      now = end;
      client.receive(message, 0, message.length, now);
      if (check.wanted) {
        check.wanted = false;
        client.checked((wait & 2) !== 0, now);
      }
    }
    // One message for each answer at most, and one for each three seconds; a decline adds one.
    const most = 2 + 2 * answers + now / 3000;
    if (sent > most) throw new Error(`${sent} messages in ${now} ms and ${answers} answers`);
    if (client.state !== "stopped" && client.state !== "checking" && client.deadline === Infinity) {
      if (client.lease?.expiresAt !== Infinity) throw new Error(`nothing will ever happen in state ${client.state}`);
    }
    client.stop(now);
  },
};
