// Two guests of examples/vchan on a Xen host.
import type { XenGuest } from "@tesserae/xen-host/guest";
import type { XenBench } from "./xen-host.ts";

/** What one transfer came to, as the guest that asked for it says. */
export interface Transfer {
  readonly milliseconds: number;
  /** SHA-256 of what one guest has sent and the other one has got. */
  readonly sent: string;
  readonly received: string;
}

const result = /^(.*): ([\d.]+) ms, sha256 sent ([0-9a-f]{64}), received ([0-9a-f]{64})$/;

/** One guest that serves, one that asks when it is told to on its console; the folder `vchan` is the bench's. */
export class VchanPair {
  readonly server: XenGuest;
  readonly client: XenGuest;
  readonly #lines: string[] = [];
  #rest = "";
  #wake: () => void = () => undefined;

  private constructor(server: XenGuest, client: XenGuest) {
    this.server = server;
    this.client = client;
    client.onConsole((text) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#wake();
    });
  }

  /** @throws XenHostError (rejects) */
  static async start(bench: XenBench): Promise<VchanPair> {
    const server = await bench.create("vchan", { name: "server", interfaces: [{}] });
    const [, address = ""] = await server.waitFor(/address=(10\.0\.2\.\d+)/);
    await server.waitFor("serving");
    const client = await bench.create("vchan", {
      name: "client",
      interfaces: [{}],
      commandLine: `role=ask peer=${String(server.id)} address=${address}`,
    });
    await bench.host.sh(`xenstore-write /local/domain/${String(server.id)}/data/peer ${String(client.id)}`);
    await client.waitFor("connected by vchan and tcp");
    return new VchanPair(server, client);
  }

  /** Moves bytes from the asking guest (`send`) or to it. @throws XenHostError (rejects) when a guest ends. */
  async transfer(kind: "vchan" | "tcp", direction: "send" | "receive", bytes: number): Promise<Transfer> {
    const order = `${kind} ${direction} ${String(bytes)}`;
    this.#lines.length = 0;
    await this.client.type(`${order}\n`);
    for (;;) {
      for (const line of this.#lines.splice(0)) {
        const [, asked, milliseconds, sent = "", received = ""] = result.exec(line.trimEnd()) ?? [];
        if (asked === order) return { milliseconds: Number(milliseconds), sent, received };
      }
      const more = new Promise<false>((resolve) => {
        this.#wake = () => resolve(false);
      });
      if (await Promise.race([more, this.client.ended.then(() => true)])) {
        throw new Error(`the client ended: ${this.client.console}`);
      }
    }
  }

  /** Ends both. @returns their statuses, the client's first @throws XenHostError (rejects) */
  async stop(): Promise<readonly (number | undefined)[]> {
    await this.client.type("quit\n");
    return [await this.client.waitForEnd(), await this.server.shutdown()];
  }
}
