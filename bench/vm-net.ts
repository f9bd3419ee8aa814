// Requests and datagrams a second of our image, against Debian's cloud kernel with the same Node.js and the same
// application on kernel sockets, in QEMU side by side. Needs root; skips in words without.
import { unavailable } from "../test/namespace/namespace.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";
import { makeContenders, programs } from "./vm/contenders.ts";
import { Guest, guestAddress, httpPort, udpPort } from "./vm/guest.ts";

async function requests(guest: Guest, page: string): Promise<number> {
  const said = await guest.host.succeeds("taskset", [
    ...["-c", "1", "wrk", "-t1", "-c32", "-d4s", "--timeout", "20s"],
    `http://${guestAddress}:${String(httpPort)}${page}`,
  ]);
  if (/Socket errors|Non-2xx/.test(said)) throw new Error(said);
  return Number(/Requests\/sec: +([\d.]+)/.exec(said)?.[1]);
}

async function datagrams(guest: Guest): Promise<number> {
  const load = ["-c", "1", process.execPath, "bench/vm/udp-load.mjs", guestAddress, String(udpPort), "4", "32"];
  const said: unknown = JSON.parse(await guest.host.succeeds("taskset", load));
  return typeof said === "object" && said !== null && "rate" in said ? Number(said.rate) : Number.NaN;
}

async function races(): Promise<void> {
  const reason = unavailable(...programs);
  if (reason !== undefined) {
    console.log(`vm-net skipped: ${reason}`);
    return;
  }
  const { ours, debian } = makeContenders();
  const guests = [debian, ours].map((plan) => ({ name: plan.name, guest: Guest.start(plan, "q35", 512) }));
  try {
    for (const { guest } of guests) await guest.answered(60_000);
    const race = (name: string, unit: string, measure: (guest: Guest) => Promise<number>): Race => ({
      name,
      unit,
      rival: debian.name,
      contenders: guests.map(({ name, guest }) => ({ name, measure: () => measure(guest) })),
    });
    await main(
      [
        race("GET /1k", "requests/s", (guest) => requests(guest, "/1k")),
        race("GET /64k", "requests/s", (guest) => requests(guest, "/64k")),
        race("UDP, 48 bytes and back", "datagrams/s", datagrams),
      ],
      5,
    );
  } finally {
    for (const { guest } of guests) await guest.stop();
  }
}

await races();
