// Packets a second through a router: ours over two tap devices, as in examples/router, against the Linux kernel between
// veth pairs; passed on as they are, and translated (NAT44). Needs root; skips in words without.
import process from "node:process";
import { Prefix } from "@tesserae/device/address";
import { inlineDeeply } from "@tesserae/node/engine";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createRouter } from "@tesserae/tcpip/stack/router";
import { unavailable } from "../test/namespace/namespace.ts";
import {
  compileFlood,
  farDevice,
  farNetwork,
  ForwardingPlace,
  nearDevice,
  nearNetwork,
  roleVariable,
  type RouterKind,
} from "./forwarding/place.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";

/** How long a flood lasts, in milliseconds. */
const duration = 1500;
const names: Readonly<Record<RouterKind, string>> = { kernel: "Linux, veth", tap: "ours, tap" };

/** A router of ours between the two devices; the parent takes the far one's other end away. */
async function route(nat: boolean): Promise<void> {
  const interfaces = [];
  for (const [name, network] of [
    [farDevice, farNetwork],
    [nearDevice, nearNetwork],
  ] as const) {
    const netif = await createTap({ name, hostAddress: Prefix.parse(`${network}.2/24`) });
    interfaces.push({
      netif,
      ipv4: { kind: "static", address: Prefix.parse(`${network}.1/24`) },
      ipv6: { kind: "off" },
    } as const);
  }
  inlineDeeply();
  await createRouter({
    timers: createTimers(),
    random: createRandom(),
    interfaces,
    ...(nat ? { nat: { outside: 1 } } : {}),
  });
  console.log("routing");
}

async function races(): Promise<void> {
  const flood = compileFlood();
  const places: ForwardingPlace[] = [];
  const all: Race[] = [];
  try {
    for (const nat of [false, true]) {
      const contenders = [];
      for (const router of ["kernel", "tap"] as const) {
        const place = await ForwardingPlace.open(flood, { router, nat });
        places.push(place);
        contenders.push({ name: names[router], place });
      }
      for (const [size, title] of [
        [46, "64-byte frames"],
        [1500, "1500-byte packets"],
      ] as const) {
        all.push({
          name: `${nat ? "NAT44" : "forwarding"}, ${title}`,
          unit: "packets/s",
          rival: names.kernel,
          contenders: contenders.map(({ name, place }) => ({ name, measure: () => place.measure(size, duration) })),
        });
      }
    }
    await main(all, 7);
  } finally {
    for (const place of places) place.close();
  }
}

const role = process.env[roleVariable];
const reason = unavailable("ip", "taskset", "gcc", "nft", "sysctl");
if (role !== undefined) await route(role === "nat");
else if (reason !== undefined) console.log(`forwarding: ${reason}`);
else await races();
