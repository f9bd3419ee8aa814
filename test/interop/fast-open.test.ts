// TCP Fast Open (RFC 7413) with the kernel, both ways: what came with a SYN is read before the handshake is complete.
import { IpAddress } from "@tesserae/device/address";
import { afterEach, describe, expect, test } from "vitest";
import { unavailable } from "../namespace/namespace.ts";
import { GuardedStack, kernelAddress, ownAddress } from "./guarded-stack.ts";

const reason = unavailable("ip", "python3");
const patience = 60_000;

let guarded: GuardedStack | undefined;
afterEach(async () => {
  await guarded?.close();
  guarded = undefined;
});

async function open(): Promise<GuardedStack> {
  guarded = await GuardedStack.open();
  // Clients and servers.
  guarded.namespace.run("sysctl", ["-qw", "net.ipv4.tcp_fastopen=3"]);
  return guarded;
}

/** Connects twice by a SYN with data, where it has a cookie, and prints the answers. */
const kernelClient = `
import socket
for data in (b'first', b'second'):
    s = socket.socket()
    s.sendto(data, socket.MSG_FASTOPEN, ('${ownAddress}', 7000))
    s.shutdown(socket.SHUT_WR)
    answer = b''
    while (more := s.recv(100)): answer += more
    print(answer.decode(), flush=True)
    s.close()
`;

/** Answers what it is sent with how it came: TCPI_OPT_SYN_DATA is 32 in tcpi_options. */
const kernelServer = `
import socket
s = socket.create_server(('', 7000))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
print('ready', flush=True)
while True:
    c, _ = s.accept()
    with_syn = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 32
    data = b''
    while (more := c.recv(100)): data += more
    c.sendall((b'SYN:' if with_syn else b'later:') + data)
    c.close()
`;

describe.skipIf(reason !== undefined)(`Fast Open with the kernel${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "a client of the kernel's gets a cookie, and its next request comes with the SYN",
    async () => {
      const { own, namespace } = await open();
      await own.tcp.listen({ port: 7000, fastOpen: 16 }, async (flow) => {
        const into = new Uint8Array(100);
        const length = await flow.read(into);
        await flow.write(into.subarray(0, length));
        await flow.close();
      });
      expect(await namespace.succeeds("python3", ["-c", kernelClient])).toBe("first\nsecond\n");
      expect(own.statistics.tcp).toMatchObject({ fastOpenPassive: 1, fastOpenPassiveFails: 0, passiveOpens: 2 });
    },
    patience,
  );

  test(
    "a server of the kernel's gives us a cookie, and takes our next request with the SYN",
    async () => {
      const { own, namespace } = await open();
      const server = namespace.start("python3", ["-c", kernelServer]);
      try {
        await new Promise((resolve) => server.stdout?.once("data", resolve));
        const ask = async (text: string): Promise<string> => {
          const address = IpAddress.parse(kernelAddress);
          const flow = await own.tcp.connect({ address, port: 7000, fastOpen: new TextEncoder().encode(text) });
          await flow.end();
          const into = new Uint8Array(100);
          let length = 0;
          for (let got = await flow.read(into); got > 0; got = await flow.read(into.subarray(length))) length += got;
          await flow.close();
          return new TextDecoder().decode(into.subarray(0, length));
        };
        expect([await ask("one"), await ask("two"), await ask("three")]).toEqual(["later:one", "SYN:two", "SYN:three"]);
        expect(own.statistics.tcp).toMatchObject({ fastOpenActive: 2, fastOpenActiveFails: 0 });
      } finally {
        server.kill("SIGKILL");
      }
    },
    patience,
  );
});
