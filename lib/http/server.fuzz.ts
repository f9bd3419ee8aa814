import { IpAddress } from "@tesserae/device/address";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { LightResponse } from "./light-response.ts";
import { createMemoryTcp } from "./memory-tcp.ts";
import { trace } from "./response-parser.fuzz.ts";
import { serve } from "./server.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A whole server: whatever a client sends, what it gets is well-formed, and the connection ends. */
export const fuzz: FuzzTarget = {
  name: "http server connection",
  seeds: [
    encode("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
    encode("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
    encode("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n"),
  ],
  async run(input) {
    const tcp = createMemoryTcp();
    const timers = new Scheduler(new VirtualClock());
    const server = await serve({ tcp, timers, port: 80, limits: { maxBody: 100 } }, async (request) => {
      if (request.method === "HEAD") return new LightResponse("no head: the reader does not know the methods");
      return new LightResponse(await request.text());
    });
    const flow = await tcp.connect({ address: IpAddress.loopback4, port: 80 });
    // A reader that does not know which requests were HEAD could not tell responses apart.
    const text = Buffer.from(input).toString("latin1").replaceAll("HEAD", "HEED");
    flow.write(Buffer.from(text, "latin1")).catch(() => undefined);
    void flow.end();
    const into = new Uint8Array(65_536);
    let received = "";
    try {
      for (let length = await flow.read(into); length > 0; length = await flow.read(into)) {
        received += Buffer.from(into.subarray(0, length)).toString("latin1");
      }
    } catch {
      // A reset is an answer too, and may cut a response short.
      received = "";
    }
    const said = trace(Buffer.from(received, "latin1"), []);
    if (/!|\.4$/.test(said.replace(/\n.*/g, ""))) throw new Error(`a malformed response: ${JSON.stringify(received)}`);
    await flow.close();
    await server.close(0);
    if (server.active !== 0) throw new Error("a connection is left");
  },
};
