import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { describe, expect, test } from "vitest";
import { parseForward, placeForwards } from "./network.ts";

describe("forwarded ports", () => {
  test.each([
    ["8080:80", "127.0.0.1", 8080, 80],
    ["8080", "127.0.0.1", 8080, 8080],
    ["0:80", "127.0.0.1", 0, 80],
    ["0.0.0.0:8080:80", "0.0.0.0", 8080, 80],
  ])("%s", (text, address, hostPort, guestPort) => {
    expect(parseForward(text)).toEqual({ address, hostPort, guestPort });
  });

  test.each([
    "",
    "x",
    "80:",
    ":80",
    "8080:0",
    "70000:80",
    "80:70000",
    "1.2.3.4:80",
    "1.2.3.400:1:2",
    "80:80:80",
    "::1:80:80",
  ])("%j is none", (text) => {
    expect(() => parseForward(text)).toThrow(`"${text}" is no forwarded port`);
  });

  test("a port that is taken, for TCP or for UDP, is replaced or refused; one that is free is kept", async () => {
    const address = "127.0.0.1";
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    const bound = server.address();
    const taken = [typeof bound === "object" && bound !== null ? bound.port : 0, socket.address().port];
    const [free] = await placeForwards([{ address, hostPort: 0, guestPort: 1 }], true);
    const wanted = [...taken, free?.hostPort ?? 0].map((hostPort) => ({ address, hostPort, guestPort: 80 }));
    const placed = await placeForwards([...wanted, wanted[2] ?? parseForward("")], false);
    expect(placed.map((each) => each.wanted)).toEqual([...taken, free?.hostPort, free?.hostPort]);
    expect(placed.map((each) => each.hostPort === each.wanted)).toEqual([false, false, true, false]);
    expect(new Set(placed.map((each) => each.hostPort)).size).toBe(4);
    await expect(placeForwards(wanted.slice(0, 1), true)).rejects.toThrow(
      /^port \d+ cannot be forwarded: it is taken$/,
    );
    server.close();
    socket.close();
  });
});
