import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { patience } from "./duration.ts";
import { LaunchedImage, pause } from "./launched-image.ts";

// examples/router between two kernels: one outside, and one inside that gets its address from it with udhcpc.

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-router-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What udhcpc runs when something has happened. */
const script = path.join(folder, "udhcpc.sh");
writeFileSync(
  script,
  `#!/bin/sh
case "$1" in
  deconfig) ip address flush dev "$interface"; ip link set "$interface" up ;;
  bound|renew)
    ip address add "$ip/$mask" dev "$interface"
    ip route add default via "$router"
    echo "event=$1 ip=$ip mask=$mask router=$router dns=$dns lease=$lease mtu=$mtu server=$serverid" ;;
esac
`,
);
chmodSync(script, 0o755);

/** Answers each connection with the address that it came from. */
const mirror = `
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
while True:
    flow, peer = server.accept()
    flow.sendall(peer[0].encode()); flow.close()
`;
const ask = `
import socket, sys
flow = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
print(flow.makefile().read())
`;

const reason = unavailable("udhcpc", "python3", "ping", "curl");
describe.skipIf(reason !== undefined)(`examples/router on taps${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "a kernel inside gets a lease, reaches the kernel outside as the router, and is reached by a forwarded port",
    async () => {
      const outside = Namespace.create();
      const inside = Namespace.create();
      try {
        const image = await LaunchedImage.start(
          [
            ...["examples/router", "--target", "tap", "--tap", "wan0,lan0", "--host-address", "203.0.113.1/24"],
            ...["--address", "203.0.113.2/24", "--network", "192.168.77.1/24", "--first", "50", "--count", "3"],
            ...["--forward", "tcp/8080=192.168.77.51:80"],
          ],
          "routing",
          outside.name,
        );
        // The device stays open; its other end goes to the kernel inside.
        outside.ip(`link set lan0 netns ${inside.name}`);
        inside.ip("link set lan0 up");
        const mac = (/link\/ether (\S+)/.exec(inside.ip("link show lan0")) ?? [])[1] ?? "";
        const said = await inside.ran("udhcpc", ["-i", "lan0", "-f", "-q", "-n", "-s", script, "-r", "192.168.77.51"]);
        expect(said.status, said.stderr + image.output).toBe(0);
        expect(said.stdout).toContain("event=bound ip=192.168.77.51 mask=24 router=192.168.77.1 dns=9.9.9.9 lease=600");
        expect(said.stdout).toContain("server=192.168.77.1");
        expect(image.output).toContain(`leased address=192.168.77.51 client=01${mac.replaceAll(":", "")}`);

        // The kernel outside has no route to what is inside: without translation no answer would come back.
        inside.run("ping", ["-c", "3", "-i", "0.2", "-W", "5", "203.0.113.1"]);
        inside.run("ping", ["-c", "1", "-s", "5000", "-W", "5", "203.0.113.1"]);
        expect(inside.attempt("ping", ["-c", "1", "-t", "1", "-W", "5", "203.0.113.1"]).stdout).toContain(
          "From 192.168.77.1 icmp_seq=1 Time to live exceeded",
        );
        expect(inside.attempt("ping", ["-c", "1", "-W", "5", "198.51.100.1"]).stdout).toContain(
          "From 192.168.77.1 icmp_seq=1 Destination Net Unreachable",
        );

        const servers = [
          outside.start("python3", ["-c", mirror, "8000"]),
          inside.start("python3", ["-c", mirror, "80"]),
        ];
        for (const each of servers) {
          await new Promise((resolve, reject) => {
            each.stdout?.once("data", resolve);
            each.once("exit", reject);
          });
        }
        expect((await inside.succeeds("python3", ["-c", ask, "203.0.113.1", "8000"])).trim()).toBe("203.0.113.2");
        expect((await outside.succeeds("python3", ["-c", ask, "203.0.113.2", "8080"])).trim()).toBe("203.0.113.1");

        // A longer transfer, both ways.
        const web = outside.start("python3", ["-m", "http.server", "8001", "--directory", folder]);
        writeFileSync(path.join(folder, "large"), Buffer.alloc(20_000_000, "tesserae "));
        for (let tries = 0; tries < 100 && web.exitCode === null; tries++) {
          if (outside.attempt("curl", ["-s", "-o", "/dev/null", "http://127.0.0.1:8001/"]).status === 0) break;
          await pause(100);
        }
        const size = ["-s", "-o", "/dev/null", "-w", "%{size_download}", "http://203.0.113.1:8001/large"];
        expect(await inside.succeeds("curl", size)).toBe("20000000");

        // The one that gives it back gets it again.
        const again = await inside.ran("udhcpc", ["-i", "lan0", "-f", "-q", "-n", "-R", "-s", script]);
        expect(again.stdout).toContain("ip=192.168.77.51");
        expect(await image.stop()).toBe(0);
        expect(image.output).toMatch(/stopping forwarded=\d{4,}/);
      } finally {
        inside.destroy();
        outside.destroy();
      }
    },
    patience,
  );
});
