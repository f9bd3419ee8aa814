import { describe, expect, test } from "vitest";
import { IpAddress, type Endpoint } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp } from "@tesserae/device/tcp";
import { ByteLedger } from "./byte-ledger.ts";

const here: Endpoint = { address: IpAddress.parse("10.0.0.1"), port: 50_000 };
const there: Endpoint = { address: IpAddress.parse("10.0.0.2"), port: 7 };

/** A network of one connection, whose far end delivers what it is told to, whatever was written. */
async function connection(): Promise<{
  readonly ledger: ByteLedger;
  readonly client: Flow;
  readonly server: Flow;
  readonly deliver: (...bytes: number[]) => void;
}> {
  const ledger = new ByteLedger();
  let incoming: number[] = [];
  const flow = (local: Endpoint, remote: Endpoint): Flow => ({
    local,
    remote,
    read: async (into) => {
      into.set(incoming);
      return incoming.length;
    },
    write: async () => undefined,
    end: async () => undefined,
    close: async () => undefined,
    abort: () => undefined,
  });
  let accepted: Flow | undefined;
  let accept: (flow: Flow) => void | Promise<void> = () => undefined;
  const listen: Tcp["listen"] = async (_options, take) => {
    accept = take;
    return { local: there, close: async () => undefined };
  };
  const server: Tcp = { connect: async () => flow(there, here), listen };
  const client: Tcp = { connect: async () => flow(here, there), listen };
  ledger.watch(server, "b");
  ledger.watch(client, "a");
  await server.listen({ port: 7 }, (made) => {
    accepted = made;
  });
  const connected = await client.connect({ address: there.address, port: 7 });
  await accept(flow(there, here));
  if (accepted === undefined) throw new Error("not accepted");
  return { ledger, client: connected, server: accepted, deliver: (...bytes) => void (incoming = bytes) };
}

describe("what is read is what was written", () => {
  const buffer = new Uint8Array(16);

  test("in other pieces, up to the end", async () => {
    const { ledger, client, server, deliver } = await connection();
    await client.write(Uint8Array.of(1, 2, 3));
    await client.write(Uint8Array.of(4, 5));
    for (const piece of [[1], [2, 3, 4], [5]]) {
      deliver(...piece);
      await server.read(buffer);
    }
    await client.end();
    deliver();
    await server.read(buffer);
    expect([ledger.problem, ledger.flows, ledger.bytes]).toEqual([undefined, 1, 5]);
  });

  test.each([
    ["a byte that changed", [1, 9], "byte 1 was written as 2 and read as 9"],
    ["a byte too many", [1, 2, 3, 4], "byte 3 was read and never written"],
    ["bytes in another order", [2, 1], "byte 0 was written as 1 and read as 2"],
    ["an end without an end", [], "the end was read after 0 bytes, and the writer has not ended"],
  ])("%s is found", async (_name, bytes, problem) => {
    const { ledger, client, server, deliver } = await connection();
    await client.write(Uint8Array.of(1, 2, 3));
    deliver(...bytes);
    await server.read(buffer);
    expect(ledger.problem).toBe(`b, 10.0.0.2:7 from 10.0.0.1:50000: ${problem}`);
  });

  test("an end before all is read is found, in the other direction as well", async () => {
    const { ledger, client, server, deliver } = await connection();
    await server.write(Uint8Array.of(1, 2, 3));
    await server.close();
    deliver(1, 2);
    await client.read(buffer);
    deliver();
    await client.read(buffer);
    expect(ledger.problem).toBe("a, 10.0.0.1:50000 from 10.0.0.2:7: the end was read after 2 bytes of 3");
  });
});
