import { Buffer } from "node:buffer";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { quote, runInDom0, summary } from "./agent.ts";

const status = (code: number): string => `\x1e${String(code)}\n`;
let server: Server | undefined;
afterEach(() => server?.close());

/** An agent that reads everything, then does what it is told with the connection. */
async function agent(answer: (socket: Socket, heard: string) => void): Promise<{ port: number; secret: string }> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = "";
    socket.on("error", () => undefined);
    socket.setEncoding("latin1").on("data", (text) => (heard += String(text)));
    socket.on("end", () => answer(socket, heard));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  // as: it listens on a port.
  return { port: (listening.address() as AddressInfo).port, secret: "s3cret" };
}

test("a command goes with the secret and its input; output and status come back", async () => {
  let heard = "";
  const place = await agent((socket, text) => {
    heard = text;
    socket.end(`some output\n${status(3)}`);
  });
  const ran = await runInDom0(place, "cat; exit 3", { input: Buffer.from("input") });
  expect(ran).toEqual({ status: 3, output: Buffer.from("some output\n") });
  expect(heard).toBe(`s3cret\n${Buffer.from("cat; exit 3").toString("base64")}\ninput`);
});

test("output is given out as it comes, without the status, however it is cut", async () => {
  const whole = Buffer.from(`a\x1eb\x1e12\nc${status(0)}`);
  for (let cut = 0; cut <= whole.length; cut++) {
    const place = await agent((socket) => {
      socket.write(whole.subarray(0, cut), () => setTimeout(() => socket.end(whole.subarray(cut)), 5));
    });
    const pieces: Buffer[] = [];
    const ran = await runInDom0(place, "true", { onOutput: (bytes) => void pieces.push(bytes) });
    expect(ran.output.toString(), `cut at ${String(cut)}`).toBe("a\x1eb\x1e12\nc");
    expect(Buffer.concat(pieces).equals(ran.output)).toBe(true);
    server?.close();
  }
});

test("a connection that ends without a status is an error with the output", async () => {
  const place = await agent((socket) => socket.end("half a w"));
  await expect(runInDom0(place, "echo half a word")).rejects.toThrow(
    "dom0: echo half a word: the connection ended before the command did\nhalf a w",
  );
});

test("a command that takes too long, and one that is given up, are errors", async () => {
  const place = await agent(() => undefined);
  await expect(runInDom0(place, "sleep 9", { timeout: 50 })).rejects.toThrow("dom0: sleep 9: no end after 0.05 s");
  await expect(runInDom0(place, "sleep 9", { signal: AbortSignal.abort() })).rejects.toThrow("it was given up");
});

test("a command that takes too long is told of with what dom0 does meanwhile", async () => {
  const place = await agent((socket, heard) => {
    const script = Buffer.from(heard.split("\n")[1] ?? "", "base64").toString();
    if (script !== "sleep 9") socket.end(`77 sleep 9: hrtimer_nanosleep\n${status(0)}`);
  });
  await expect(runInDom0(place, "sleep 9", { timeout: 50 })).rejects.toThrow(
    "dom0: sleep 9: no end after 0.05 s\n77 sleep 9: hrtimer_nanosleep",
  );
});

test("words for the shell", () => {
  expect(quote("it's")).toBe(`'it'\\''s'`);
  expect(summary("one\ntwo")).toBe("one …");
});
