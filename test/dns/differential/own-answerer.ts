// Our answers, from the pure core: bytes in, bytes out, in this process.
import { IpAddress } from "@tesserae/device/address";
import { createAuthoritative, type Authoritative } from "@tesserae/dns/authoritative/authoritative";
import { Cookies } from "@tesserae/dns/authoritative/cookie";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { createTimers } from "@tesserae/node/timers";
import { loadZone } from "../servers/load-zone.ts";
import type { ServedZone } from "../servers/name-server.ts";
import { nothing, see, type Seen } from "./answer.ts";
import type { Respondent } from "./exchange.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

export class OwnAnswerer implements Respondent {
  readonly name = "ours";
  readonly #authoritative: Authoritative;
  readonly #client = IpAddress.parse("127.0.0.1");
  readonly #out = new Uint8Array(65_536);

  /** @throws Error that says what is wrong with a zone */
  constructor(zones: readonly ServedZone[]) {
    const served = new Zones();
    for (const zone of zones) served.replace(loadZone(zone));
    const cookies = new Cookies(createTimers(), [new Uint8Array(16).fill(7)]);
    this.#authoritative = createAuthoritative({ zones: served, nsid: encode("nameserver"), cookies });
  }

  ask(queries: readonly Buffer[]): Promise<Seen[]> {
    return Promise.resolve(queries.map((query) => this.#answer(query)));
  }

  #answer(query: Buffer): Seen {
    // Asked twice: the second answer may be a remembered one, and must be the same.
    const first = this.#respond(query);
    const second = this.#respond(query);
    if (!first.equals(second) && see(first).cookie === "no") {
      return {
        ...nothing,
        answered: `differently the second time: ${first.toString("hex")} ${second.toString("hex")}`,
      };
    }
    return first.length === 0 ? nothing : see(first);
  }

  #respond(query: Buffer): Buffer {
    const bytes = new Uint8Array(query);
    const out = this.#out;
    const length = this.#authoritative.answer(bytes, 0, bytes.length, out, 0, out.length - 1, "udp", this.#client);
    return Buffer.from(out.subarray(0, length));
  }

  close(): void {
    // Nothing is open.
  }
}
